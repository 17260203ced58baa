"""Networks and the folders they travel in.

==================  ==============================================================================
`spec`              `ModelSpec`: what is known about a model, validated
`item`              the `ModelSpec` as a STAC Item; `spec_file` reads and writes it: ``model.json``
`card`              the model card in Markdown
`table`             `MODELS`: every architecture, its parameters and how it may be tiled;
                    `architecture`: what a row says
`parameters`        what a ``model.json`` may say under ``parameters``; of networks of others:
                    `imported_parameters`; of several dates: `date_parameters`
`unet_compact`      our own U-Net with a bounded receptive field
`siamese`           our own siamese U-Net for two dates; `dates`: their bands
`segnet`            our own SegNet with max-unpooling
`libraries`         networks of segmentation-models-pytorch, torchgeo and torchvision
`wrapped`           their outputs, put into our form; `torchgeo_change`: their change networks
`onnx_network`      a network from an ONNX file, run by onnxruntime
`bundle`            `save_model`, `load_model`, `Model`; `folder`: its files
`weights`           the safetensors file, its header checked before a tensor is read
`familiarity`       what the features of the training data look like; `distances`: a network that
                    also says how far pixels lie from them
`probe`             the halo of a network, measured
`imports`           networks that others trained become models
`export`            a model as an ONNX file; `onnx_graph` makes and checks the graph
`compress`          int8 and pruned variants
`cost`              parameters and operations, counted
==================  ==============================================================================

Importing this package imports no torch: only `Model.network`, `Model.check`, `save_model` and
`build_network` do.
"""

from geodl.models.architecture import Architecture
from geodl.models.bundle import Model, bundled_models, load_model, save_model
from geodl.models.spec import ModelSpec
from geodl.models.table import MODELS, build_network, tiling_of

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
