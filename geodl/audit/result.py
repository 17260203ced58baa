"""The figures of an audit, and what they mean."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from geodl.tiles import Window

TOLERANCE = 1e-3
"""Largest difference of a probability that is rounding: the contract of a seamless map."""

AGREEING = 0.9999
"""Share of the pixels that must keep their class: the rest are ties that rounding decides."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """How far two maps of one scene, over tilings shifted against each other, differ.

    The difference at a pixel is that of the class whose probability differs most.

    Parameters
    ----------
    scene, model : str
        What was mapped with what.
    device, precision : str
        ``"cpu"`` or ``"cuda"``; ``"fp32"`` or ``"bf16"``.
    stitch : str
        ``"crop"`` or ``"blend"``, from the model.
    halo : int
        Pixels that the model sees around a cell.
    streamed : bool
        Whether the first map comes from a stream of rows.
    tilings : tuple of str
        Both tilings in words.
    window : Window
        What was compared, in pixels of the scene.
    pixels : int
        Valid pixels in it.
    largest, mean : float
        Of the difference over these pixels.
    differing : int
        Pixels whose difference exceeds `TOLERANCE`.
    flips : int
        Pixels whose class differs.
    place : tuple of int or None
        Scene row and column of the largest difference; None where nothing differs.
    coordinates : tuple of float or None
        x and y of the middle of that pixel, in `crs`.
    crs : str or None
        Coordinate system of the scene, None without one.
    """

    scene: str
    model: str
    device: str
    precision: str
    stitch: Literal["crop", "blend"]
    halo: int
    streamed: bool
    tilings: tuple[str, str]
    window: Window
    pixels: int
    largest: float
    mean: float
    differing: int
    flips: int
    place: tuple[int, int] | None
    coordinates: tuple[float, float] | None
    crs: str | None

    @property
    def flip_share(self) -> float:
        """Flips as a share of the pixels; 0 where there are none."""
        return self.flips / max(1, self.pixels)

    @property
    def seamless(self) -> bool:
        """Whether the maps are equal but for rounding; never where nothing was compared."""
        return self.pixels > 0 and self.largest <= TOLERANCE and 1 - self.flip_share >= AGREEING

    @property
    def verdict(self) -> str:
        """What the figures mean, in a sentence."""
        if not self.pixels:
            return "Nothing was compared: no pixel is valid there."
        if self.seamless:
            return "No seams: both tilings give the same map, but for rounding."
        share = f"{100 * self.flip_share:.4g} % of the pixels"
        if self.stitch == "blend":
            return (
                f"Blended: where tiles lie decides the class on {share}; the network looks at whole tiles, "
                "whose averages hide borders but differ from tiling to tiling."
            )
        if self.precision == "bf16":
            return (
                f"Different: another class on {share}; in bf16 rounding alone may do that: --precision fp32 "
                "tells whether there are seams."
            )
        what = (
            "tiles give other classes than the stream on"
            if self.streamed
            else "where tiles lie decides the class on"
        )
        return (
            f"Seams: {what} {share}; the network sees farther than the halo of {self.halo} pixels. "
            "Measure it with 'geodl models probe'."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures and the verdict as plain values, for JSON."""
        derived = {"flip_share": self.flip_share, "seamless": self.seamless, "verdict": self.verdict}
        return {**asdict(self), "tolerance": TOLERANCE, **derived}

    def to_text(self) -> str:
        """Return the figures and the verdict as lines for a terminal."""
        window = self.window
        rows = [
            ("scene", self.scene),
            ("model", f"{self.model}, {self.precision} on {self.device}"),
            ("compared", f"{self.tilings[0]}"),
            ("with", f"{self.tilings[1]}"),
            ("window", f"row {window.row}, column {window.col}, {window.height} x {window.width} pixels"),
            ("pixels", f"{self.pixels}"),
            ("max |dp|", f"{self.largest:.3g}{self._where()}"),
            ("mean |dp|", f"{self.mean:.3g}"),
            (f"|dp| > {TOLERANCE:g}", f"{self.differing} pixels"),
            ("label flips", f"{self.flips} ({100 * self.flip_share:.4g} %)"),
        ]
        return "\n".join([*(f"{name:<13}{value}" for name, value in rows), self.verdict])

    def _where(self) -> str:
        if self.place is None:
            return ""
        where = f" at row {self.place[0]}, column {self.place[1]}"
        if self.coordinates is None:
            return where
        return f"{where} ({self.coordinates[0]:.10g}, {self.coordinates[1]:.10g} in {self.crs})"
