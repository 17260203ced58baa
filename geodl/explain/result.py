"""The figures and rasters of an explanation."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from geodl.explain.gradients import TOLERANCE, Completeness
from geodl.models.spec import ClassSpec
from geodl.tiles import Window


@dataclass(frozen=True, kw_only=True)
class BandImportance:
    """What one band does for the class.

    Parameters
    ----------
    name : str
    attribution : float
        Sum of its integrated gradients, in units of the score: positive where it speaks for the class.
    share : float
        Of all absolute attributions, those of this band: 0..1.
    drop : float
        How much of the probability of the class is lost when the band has its mean everywhere; negative
        where the class becomes likelier without it.
    changed_target, changed_view : float
        Share of the pixels explained, and of those shown, that get another class then: 0..1.
    """

    name: str
    attribution: float
    share: float
    drop: float
    changed_target: float
    changed_view: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a model gives a class to some pixels of a scene.

    Parameters
    ----------
    scene, model, model_hash : str
        What was mapped with what.
    class_name, class_value : str, int
        The class that is explained.
    against : str or None
        Class whose score is taken off the score explained.
    probability : float
        Of that class, averaged over the pixels explained.
    baseline_probability : float
        Of that class, were every band its mean: attributions tell what leads from there to the scene.
    probabilities : dict of str to float
        Of every class, likewise.
    target, view : Window
        The pixels explained and those shown, in pixels of the scene. Of a target larger than one pixel
        only those that are mapped as the class are explained.
    pixels : int
        How many are explained.
    coordinates : tuple of float
        x and y of the middle of the target, in `crs`.
    crs : str
        Coordinate system of the scene; ``"pixels"`` without one.
    attributions : xarray.DataArray
        float32, (band, y, x) over the view: integrated gradients in units of the score (the network's
        output before the softmax). NaN without data.
    grad_cam : xarray.DataArray or None
        float32, (y, x) over the view, not negative; NaN without data. Beyond `reach` it shows like patterns
        that cannot act on the target. None where the network has no layer for it.
    grad_cam_layer : str or None
        Whose features it shows.
    classes : xarray.DataArray
        uint8, (y, x): the map over the view; 255 without data.
    bands : tuple of BandImportance
        In the order of the model.
    completeness : Completeness
        Whether the attributions add up.
    inside : float
        Share of the absolute attributions that lies in the view: 0..1.
    reach : Window
        The pixels that can act on the target; they may lie beyond the scene, which is reflected there.
    exact : bool
        False for a network that looks at whole tiles: it was explained on one tile, while a map averages
        several.
    legend : tuple of ClassSpec
        All classes of the model.
    image : numpy.ndarray
        uint8, (height, width, 3): the view as people see it.
    image_bands : tuple of str
        Whose values its red, green and blue are; one name where it is grey.
    device : str
        Where it was computed, in float32.
    """

    scene: str
    model: str
    model_hash: str
    class_name: str
    class_value: int
    against: str | None
    probability: float
    baseline_probability: float
    probabilities: dict[str, float]
    target: Window
    view: Window
    pixels: int
    coordinates: tuple[float, float]
    crs: str
    attributions: xr.DataArray
    grad_cam: xr.DataArray | None
    grad_cam_layer: str | None
    classes: xr.DataArray
    bands: tuple[BandImportance, ...]
    completeness: Completeness
    inside: float
    reach: Window
    exact: bool
    legend: tuple[ClassSpec, ...]
    image: np.ndarray
    image_bands: tuple[str, ...]
    device: str

    @property
    def where(self) -> str:
        """The target in words."""
        window = self.target
        x, y = self.coordinates
        place = f"x {x:.10g}, y {y:.10g} ({self.crs})"
        if self.crs == "pixels":
            place = f"column {math.floor(x)}, row {math.floor(y)}"
        if (window.height, window.width) == (1, 1):
            return place
        return f"{self.pixels} pixels of {window.height} x {window.width} around {place}"

    @property
    def question(self) -> str:
        """The classes in question, in quotation marks."""
        quoted = [f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}"
                  for name in (self.class_name, self.against) if name is not None]  # fmt: skip
        return " rather than ".join(quoted)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know to trust the figures."""
        found = []
        if not self.completeness.complete:
            found.append(
                f"the attributions miss the difference of the scores by {self.completeness.error:.1%}: take "
                "their signs and places, not their sizes"
            )
        if self.baseline_probability >= 0.5:
            found.append(
                f"where every band is its mean the model says {self.class_name} as well "
                f"({self.baseline_probability:.0%}): attributions only tell the difference from that, and "
                "what is lost without a band tells more"
            )
        if self.inside < 0.95:
            found.append(
                f"{1 - self.inside:.0%} of the attributions lie outside the view: enlarge it with --size"
            )
        if not self.exact:
            found.append(
                "the network looks at whole tiles: one tile is explained, while a map averages several"
            )
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        sums = self.completeness
        return {
            "scene": self.scene,
            "model": self.model,
            "model_hash": self.model_hash,
            "device": self.device,
            "class": self.class_name,
            "value": self.class_value,
            "against": self.against,
            "probability": self.probability,
            "baseline_probability": self.baseline_probability,
            "probabilities": self.probabilities,
            "target": asdict(self.target),
            "pixels": self.pixels,
            "coordinates": list(self.coordinates),
            "crs": self.crs,
            "view": asdict(self.view),
            "reach": asdict(self.reach),
            "exact": self.exact,
            "bands": [asdict(band) for band in self.bands],
            "integrated_gradients": {
                **asdict(sums),
                "error": sums.error,
                "tolerance": TOLERANCE,
                "complete": sums.complete,
                "baseline": "mean of each band in the training data",
                "inside_view": self.inside,
            },
            "grad_cam_layer": self.grad_cam_layer,
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """Return the figures as lines for a terminal."""
        sums = self.completeness
        others = sorted(self.probabilities.items(), key=lambda item: -item[1])
        chances = ", ".join(f"{name} {value:.1%}" for name, value in others[:5])
        lines = [
            f"{'scene':<14}{self.scene}",
            f"{'model':<14}{self.model}, fp32 on {self.device}",
            f"{'place':<14}{self.where}",
            f"{'explained':<14}{self.question}: probability {self.probability:.1%}, of band means "
            f"{self.baseline_probability:.1%}",
            f"{'classes':<14}{chances}",
            f"{'score':<14}{sums.score:.4g}, of the mean {sums.baseline_score:.4g}: "
            f"difference {sums.score - sums.baseline_score:.4g}",
            f"{'attributions':<14}sum {sums.total:.4g} after {sums.steps} steps; misses the difference by "
            f"{sums.error:.2%}, {TOLERANCE:.0%} are tolerated",
            f"{'Grad-CAM':<14}{self.grad_cam_layer or 'the network has no layer for it'}",
            "",
            f"{'band':<16}{'attribution':>12}{'share':>8}{'without it':>13}{'other class around':>20}",
        ]
        lines += [
            f"{band.name:<16}{band.attribution:>+12.3f}{band.share:>8.1%}"
            f"{-100 * band.drop:>+10.1f} pp{band.changed_view:>20.1%}"
            for band in self.bands
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])
