"""What all label readers share: codes, and what they are made from."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from geodl.tiles import Window

IGNORE = 255

Mapped = Mapping[int | str, int]
"""What a label file holds (a value, a colour ``#rrggbb``, an attribute) -> class code 0..254."""


class Labels(Protocol):
    """Something that reads class codes on a grid; not to be shared between threads."""

    def read(self, window: Window) -> np.ndarray:
        """Return uint8 codes of shape ``(height, width)``; 255 where nothing is known."""
        ...


class FeatureLabels(Labels, Protocol):
    """Labels that also tell which thing a pixel belongs to."""

    def features(self, window: Window) -> np.ndarray:
        """Return int32 numbers of shape ``(height, width)``: pixels of one feature have the same one."""
        ...


def plain_value(value: Any) -> Any:
    """Return an attribute value as recipes write it: whole numbers as int whatever their type (3.0, "3")."""
    if (isinstance(value, str) and value.strip().lstrip("-").isdigit()) or (
        isinstance(value, float) and value.is_integer()
    ):
        return int(value)
    return value


def code_of(value: Any, mapping: Mapped | None) -> int:
    """Class code of an attribute value; 255 where it means no class."""
    value = plain_value(value)
    if mapping is not None:
        return mapping.get(value, mapping.get(str(value), IGNORE))
    return value if isinstance(value, int) and 0 <= value < IGNORE else IGNORE


def lookup(mapping: Mapped) -> tuple[np.ndarray, np.ndarray]:
    """Sorted keys (colours packed into 24 bits) and their codes."""
    numbers = {
        float(int(key[1:], 16)) if isinstance(key, str) else float(key): code
        for key, code in mapping.items()
        if not isinstance(key, str) or key.startswith("#")
    }
    keys = sorted(numbers)
    return np.array(keys), np.array([numbers[key] for key in keys], dtype=np.uint8)


def recode(values: np.ndarray, keys: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Replace each value by the code of its key; 255 where it is none of the sorted keys."""
    if not len(keys):
        return np.full(values.shape, IGNORE, dtype=np.uint8)
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[place] == values, codes[place], np.uint8(IGNORE))
