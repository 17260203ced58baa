"""Files that come with geodl and are no modules: the sample scenes, the pages of the documentation.

A wheel carries them inside the package (`docs/pack.py` puts them there); in a checkout they lie where
they are written.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the folder ``sample_scenes`` or ``docs``, missing if geodl was packed in another way."""
    packed = _PACKAGE / "shipped" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
