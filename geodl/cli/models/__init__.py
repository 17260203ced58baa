"""`geodl models`."""

import json

import click

from geodl.cli.models.compare import compare
from geodl.cli.models.compress import compress
from geodl.cli.models.exchange import export_model, import_model
from geodl.cli.models.familiarise import familiarise
from geodl.cli.models.probe import probe


@click.group()
def models() -> None:
    """List the models that come with geodl; show, check, probe, import, export, compare or compress one."""


for command in (probe, familiarise, import_model, export_model, compare, compress):
    models.add_command(command)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the bundled models."""
    from geodl.models.bundle import bundled_models
    from geodl.report import print_models

    specs = bundled_models()
    if as_json:
        rows = [{"name": s.name, "task": s.task, "title": s.title, "architecture": s.architecture,
                 "pixel_size": s.pixel_size, "licence": s.licence} for s in specs]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
    else:
        print_models(specs)


@models.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_model(model: str, as_json: bool) -> None:
    """Show what MODEL, a bundled name or a folder, needs and gives."""
    from geodl.models.bundle import load_model
    from geodl.report import print_model

    spec = load_model(model).spec
    if as_json:
        click.echo(json.dumps(spec.model_dump(mode="json"), indent=2))
    else:
        print_model(spec)


@models.command("check")
@click.argument("model")
def check_model(model: str) -> None:
    """Check every file of MODEL: description, weights, architecture."""
    from geodl.models.bundle import load_model

    loaded = load_model(model)
    loaded.check()
    click.echo(f"model {loaded.spec.name}: sound ({loaded.hash[:12]})")
