"""What the command line shows: tables on one screen, and progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from geodl.models.spec import ModelSpec

if TYPE_CHECKING:
    from geodl.block import Job
    from geodl.models.probe import Probe
    from geodl.plan import Plan


def _pairs(rows: list[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(key, escape(value))
    return table


def print_info(description: dict[str, Any]) -> None:
    """Print a scene's description, as `geodl.scene.describe` gives it, on one screen."""
    console = Console()
    bands = description.pop("bands")
    fitting = description.pop("models")
    notes = description.pop("notes", ())
    console.print(_pairs([(key.replace("_", " "), _shown(key, value)) for key, value in description.items()]))
    table = Table(box=None, padding=(0, 1))
    keys = list(bands[0]) if bands else []
    for key in keys:
        table.add_column(key)
    for band in bands[:24]:
        table.add_row(*(escape(_text(band[key])) for key in keys))
    console.print(table)
    if len(bands) > 24:
        console.print(f" ... and {len(bands) - 24} bands more")
    for note in notes:
        console.print(f"[yellow]note[/] {escape(note)}")
    for name, reason in fitting.items():
        console.print(f"[green]fits[/] {name}" if reason is None else f"[dim]not {name}: {escape(reason)}[/]")


def _shown(key: str, value: Any) -> str:
    """Sizes as width x height; everything else as it is."""
    if key in ("size", "pixel_size_m", "blocks") and isinstance(value, (list, tuple)):
        return " x ".join(_text(item) for item in value)
    return _text(value) or "none"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def print_models(specs: list[ModelSpec]) -> None:
    """Print the bundled models, a line each."""
    table = Table(box=None, padding=(0, 1))
    for column in ("name", "task", "bands", "pixel (m)", "classes", "mean IoU", "licence"):
        table.add_column(column, no_wrap=column in ("name", "task"))
    for spec in specs:
        table.add_row(
            spec.name,
            spec.task,
            ", ".join(spec.band_names),
            _text(spec.pixel_size),
            str(len(spec.classes)),
            _text(spec.accuracy.mean_iou and round(spec.accuracy.mean_iou, 3)),
            escape(spec.licence),
        )
    Console().print(table)


def print_model(spec: ModelSpec) -> None:
    """Print what a model needs, gives and is worth."""
    console = Console()
    accuracy = spec.accuracy
    console.print(
        _pairs(
            [
                ("name", spec.name),
                ("title", spec.title),
                ("task", spec.task),
                ("architecture", f"{spec.architecture} {spec.parameters}"),
                ("bands", ", ".join(spec.band_names)),
                ("units", f"{spec.units} {spec.dtype or ''}"),
                ("pixel size", f"{_text(spec.pixel_size)} m, accepted {_text(spec.pixel_size_range)}"),
                ("tiles", f"{spec.tile} px, halo {spec.halo}, stride {spec.stride}, stitch {spec.stitch}"),
                ("accuracy", f"mean IoU {_text(accuracy.mean_iou)}, overall {_text(accuracy.overall)}"),
                ("measured on", f"{accuracy.reference} ({accuracy.pixels} pixels)"),
                ("split", accuracy.split or "-"),
                ("trained on", ", ".join(spec.training.data)),
                ("licence", spec.licence),
            ]
        )
    )
    table = Table(box=None, padding=(0, 1))
    for column in ("value", "class", "colour", "IoU"):
        table.add_column(column)
    for item in spec.classes:
        swatch = f"[on {item.color}]  [/] {item.color}"
        table.add_row(str(item.value), escape(item.name), swatch, _text(accuracy.iou.get(item.name)))
    console.print(table)


def print_probe(name: str, probe: "Probe", forbids_stream: str | None) -> None:
    """Print what a probe measured; `forbids_stream` says why the network cannot run row by row."""
    console = Console()
    console.print(f"[bold]{escape(name)}[/]: {escape(probe.verdict)}")
    table = Table(box=None, padding=(0, 1))
    columns = ("halo (px)", "max |dp|", "mean |dp|", "classes changed", "gradient outside", "cost")
    for column in columns:
        table.add_column(column, justify="right")
    for row in probe.table:
        mark = "bold" if row.halo == probe.halo else ""
        outside = "-" if row.gradient_outside is None else f"{row.gradient_outside:.2g}"
        cells = (f"{row.halo}", f"{row.difference:.2g}", f"{row.mean_difference:.2g}", f"{row.flips:.4%}",
                 outside, f"{row.cost:.2f}")  # fmt: skip
        table.add_row(*cells, style=mark)
    console.print(table)
    shown = f"{probe.noise_inputs} inputs of noise, {probe.given_inputs} of imagery"
    half = f"same class on {probe.bf16_agreement:.3%}, max |dp| {probe.bf16_difference:.2g}"
    shift = "no shift" if probe.smallest_shift is None else f"{probe.smallest_shift} px"
    console.print(
        _pairs(
            [
                ("measured on", f"{shown}; cores of {probe.window} px, cost at cores of {probe.core} px"),
                ("shifts with", f"{shift} (declared: {probe.stride} px)"),
                ("bfloat16", half),
                ("runs as a stream of rows", "yes" if forbids_stream is None else f"no: {forbids_stream}"),
            ]
        )
    )


def print_plan(job: "Job", plan: "Plan", seconds: float) -> None:
    """Print what a run of one scene would take; `seconds` is the time to compute it."""
    lattice, spec = job.lattice, job.model.spec
    tile = f"{lattice.tile[0]} x {lattice.tile[1]} px, halo {lattice.halo}, {spec.stitch}"
    over = (
        f"tiles of {tile}"
        if job.strip is None
        else (f"a stream of rows: {lattice.shape[1]} x {lattice.tile[1]} columns, {job.strip} rows at a time")
    )
    largest = max((block.window for block in plan.blocks), key=lambda window: window.height * window.width)
    Console().print(
        _pairs(
            [
                ("scene", f"{job.scene.name}, {lattice.width} x {lattice.height} px"),
                ("model", f"{spec.name} on {job.device} in {job.precision}"),
                ("runs over", over),
                ("blocks", f"{len(plan.blocks)}, up to {largest.width} x {largest.height} px"),
                ("peak memory", f"about {plan.memory / 1e9:.1f} GB in each process"),
                ("disk", f"at most {plan.disk / 1e6:.0f} MB"),
                ("time", f"about {seconds:.0f} s to compute, after a part in the middle of the scene"),
            ]
        )
    )


@contextmanager
def block_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (done, total) that draws a bar on a terminal and is quiet elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(escape(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
