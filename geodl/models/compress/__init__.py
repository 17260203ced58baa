"""Smaller variants of a model: whole numbers of eight bits, or fewer channels.

==================  ==============================================================================
`quantise`          int8 by onnxruntime: the variant is an ONNX file
`prune`             channels worth least taken out: the variant is a smaller network of the same kind
`worth`             what a channel is worth, and what is missing without it
`layers`            which convolutions hand which channels to which
`variant`           the description of a variant
==================  ==============================================================================

Both cost accuracy, which `geodl.comparing` measures.
"""

from geodl.models.compress.prune import PRUNABLE, prune
from geodl.models.compress.quantise import quantise

__all__ = ["PRUNABLE", "prune", "quantise"]
