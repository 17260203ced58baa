"""Names that come from anywhere, as words of a project: they stay text in XML and in QGIS."""

import hashlib
import re
import unicodedata

from geodl.publish.qgis import harmless

BREAK = "\N{ZERO WIDTH SPACE}"  # unseen in the layer tree; the legend of the print layout breaks lines there


def plain(text: str) -> str:
    """Return text without what XML cannot hold and without what QGIS would compute."""
    return harmless(legal(text))


def legal(text: str) -> str:
    r"""Return text with a sign in the place of letters that XML cannot hold.

    >>> legal("wet\x00land") == "wet\N{REPLACEMENT CHARACTER}land"
    True
    """
    return "".join(letter if _is_text(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _is_text(letter: str) -> bool:
    return letter in "\t\n" or (
        unicodedata.category(letter) not in ("Cc", "Cs") and letter not in "\ufffe\uffff"
    )


def lines_of(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` letters; those of East Asia count twice.

    >>> lines_of("one two three", 7), lines_of("abcdefghij", 4)
    (['one two', 'three'], ['abcd', 'efgh', 'ij'])
    """
    lines = [""]
    for word in re.findall(r"\S+\s*", text):
        if lines[-1] and _width(lines[-1]) + _width(word.rstrip()) > width:
            lines.append("")
        for letter in word:
            if not letter.isspace() and _width(lines[-1]) + _width(letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line.rstrip() for line in lines]


def shortened(text: str, width: int, lines: int) -> list[str]:
    """Break a text into at most so many lines; the last one ends in an ellipsis where text is left out.

    >>> shortened("one two three four", 7, 2)
    ['one two', 'three…']
    """
    found = lines_of(text, width)
    if len(found) <= lines:
        return found
    last = found[lines - 1]
    while _width(last) >= width:
        last = last[:-1]
    return [*found[: lines - 1], f"{last}\N{HORIZONTAL ELLIPSIS}"]


def breakable(text: str, width: int) -> str:
    """Mark where a legend may break a long name, and shorten a very long one.

    >>> breakable("one two three", 7).replace(BREAK, "|")
    'one two |three'
    """
    return f" {BREAK}".join(shortened(text, width, 3))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def identifier(*names: str) -> str:
    """Return an id that stands for some names: always the same one, of letters that are safe in XML."""
    digest = hashlib.sha256("\0".join(names).encode(errors="replace")).hexdigest()
    return f"{re.sub(r'[^a-z0-9]+', '_', names[-1].lower())[:40].strip('_') or 'layer'}_{digest[:16]}"


def uuid_of(*names: str) -> str:
    """Return a UUID in braces, as QGIS names the items of layouts, that stands for some names.

    >>> uuid_of("layout", "map") == uuid_of("layout", "map"), len(uuid_of("a"))
    (True, 38)
    """
    digits = hashlib.sha256("\0".join(names).encode(errors="replace")).hexdigest()
    return "{" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32])) + "}"
