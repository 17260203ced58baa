"""What a notebook shows of a model: a small table. Whatever comes from a file is escaped."""

from html import escape

from geodl.models.spec import ClassSpec, ModelSpec
from geodl.task import TASKS

_SWATCH = (
    "display:inline-block;width:0.9em;height:0.9em;margin-right:0.3em;vertical-align:-0.1em;"
    "border:1px solid #888;background:"
)


def model_page(spec: ModelSpec) -> str:
    """Return what is known about a model as a piece of HTML, without scripts or links.

    Parameters
    ----------
    spec : ModelSpec
        The content of ``model.json``.
    """
    accuracy = spec.accuracy
    shares = {"overall accuracy": accuracy.overall, "mean IoU": accuracy.mean_iou}
    measured = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if share is not None)
    where = f"; {accuracy.split}" if measured and accuracy.split else ""
    pixel = f"{spec.pixel_size:g} m" if spec.pixel_size else "not stated"
    rows = {
        "task": TASKS[spec.task].title,
        "bands": f"{', '.join(spec.band_names)} ({spec.units.replace('_', ' ')})",
        "pixel size": pixel,
        "network": spec.architecture,
        "accuracy": f"{measured}{where}" if measured else "not measured",
        "licence": spec.licence or "not stated",
    }
    return table(spec.title or spec.name, rows, {"classes": legend(spec.classes)})


def legend(classes: "list[ClassSpec] | tuple[ClassSpec, ...]") -> str:
    """Return names and colours of classes as HTML."""
    shown = [f'<span style="{_SWATCH}{c.color}"></span>{escape(c.name)}' for c in classes]
    return " &nbsp; ".join(shown)


def table(title: str, rows: dict[str, str], markup: dict[str, str] | None = None) -> str:
    """Return a title and a table of two columns as HTML.

    Parameters
    ----------
    title : str
        Escaped, as the values of `rows` are.
    rows : dict
        Text by its name.
    markup : dict, optional
        HTML by its name, taken as it is.
    """
    cells = {**{name: escape(text) for name, text in rows.items()}, **(markup or {})}
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{cell}</td></tr>'
        for name, cell in cells.items()
    )
    return f"<div><strong>{escape(title)}</strong><table>{body}</table></div>"
