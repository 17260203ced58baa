"""What is said before two dates are compared that lie beside each other."""

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from geodl.sources import Source


def warn_if_beside(source: "Source") -> None:
    """Say on standard error that the dates of a pair lie off each other, and what takes that back."""
    from geodl.alignment import lie_beside
    from geodl.errors import GeodlError

    try:
        shift = lie_beside(source.open())
    except GeodlError:  # the run itself tells what is wrong, and of which scene
        return
    if shift is not None:
        click.secho(
            f"the later date lies {math.hypot(*shift):.1f} pixels off the earlier one, and edges will seem "
            "to change: --coregister shift puts it into place",
            err=True,
            fg="yellow",
        )
