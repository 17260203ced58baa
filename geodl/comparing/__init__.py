"""Models side by side: what they are worth and what they cost, on the same scenes.

==================  ==============================================================================
`compare`           `compare_models`: one row for each model, each measured in a process of its own
`measure`           what that process does
`row`               `Row`: what was found; as a table and as plain values
`inputs`            imagery of scenes as a network sees it, for compressing
==================  ==============================================================================
"""

from geodl.comparing.compare import compare_models
from geodl.comparing.inputs import network_inputs
from geodl.comparing.row import Row, table_of

__all__ = ["Row", "compare_models", "network_inputs", "table_of"]
