"""Networks and the folders they travel in.

==================  ==============================================================================
`spec`              `ModelSpec`: the validated ``model.json``
`table`             `MODELS`: every architecture, its parameters and how it may be tiled
`parameters`        what a ``model.json`` may say under ``parameters``
`unet_compact`      our own U-Net with a bounded receptive field
`segnet`            our own SegNet with max-unpooling
`libraries`         networks of segmentation-models-pytorch and torchgeo
`bundle`            `save_model`, `load_model`, `Model`
`weights`           the safetensors file, its header checked before a tensor is read
`probe`             the halo of a network, measured
==================  ==============================================================================

Importing this package imports no torch: only `Model.network`, `Model.check`, `save_model` and
`build_network` do.
"""

from geodl.models.bundle import Model, bundled_models, load_model, save_model
from geodl.models.spec import ModelSpec
from geodl.models.table import MODELS, Architecture, build_network, tiling_of

__all__ = [
    "MODELS",
    "Architecture",
    "Model",
    "ModelSpec",
    "build_network",
    "bundled_models",
    "load_model",
    "save_model",
    "tiling_of",
]
