"""geodl: rasters in, georeferenced deep-learning maps out.

The public names load on first use, so that ``import geodl`` and ``geodl --help`` import neither
torch nor rasterio.

>>> import geodl
>>> {"open_scene", "load_model", "predict", "vectorize", "write_cog"} <= set(geodl.__all__)
True
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.assess.compare import assess as assess
    from geodl.finished import open_product as open_product
    from geodl.models.bundle import load_model as load_model
    from geodl.models.bundle import save_model as save_model
    from geodl.predict import predict as predict
    from geodl.publish.cog import write_cog as write_cog
    from geodl.scene import describe as describe
    from geodl.scene import open_pair as open_pair
    from geodl.scene import open_scene as open_scene
    from geodl.scene import open_series as open_series
    from geodl.scene import physical as physical
    from geodl.scene import valid_mask as valid_mask
    from geodl.training import train as train
    from geodl.vector import vectorize as vectorize

__version__ = "0.1.0"

_HOMES = {
    "assess": "geodl.assess.compare",
    "describe": "geodl.scene",
    "load_model": "geodl.models.bundle",
    "open_pair": "geodl.scene",
    "open_product": "geodl.finished",
    "open_scene": "geodl.scene",
    "open_series": "geodl.scene",
    "physical": "geodl.scene",
    "predict": "geodl.predict",
    "save_model": "geodl.models.bundle",
    "train": "geodl.training",
    "valid_mask": "geodl.scene",
    "vectorize": "geodl.vector",
    "write_cog": "geodl.publish.cog",
}

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'geodl' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Keeps ``geodl.predict`` the function, although a module of that name is imported too.

    Python binds each imported submodule to its package, which would hide the function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
