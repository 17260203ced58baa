"""Networks that others trained become geodl models.

==================  ==============================================================================
`wishes`            what the user says about a source that does not say it itself
`found`             what a source says, and the `ModelSpec` of both
`smp`               a folder of segmentation-models-pytorch's ``save_pretrained``
`torchgeo`          a checkpoint of torchgeo's ``SemanticSegmentationTask``
`state_dict`        tensors by name, of torchvision or of any architecture in the table
`onnx_file`         an ONNX file, with Deepness' metadata
`tensors`           files of tensors, read without running what they hold
==================  ==============================================================================
"""

from geodl.models.imports.convert import import_model
from geodl.models.imports.wishes import Wishes

__all__ = ["Wishes", "import_model"]
