"""The command line: parse, call, show. Heavy imports wait until a command runs."""

import os
from typing import Any

import click

from geodl import __version__
from geodl.cli.assess import assess
from geodl.cli.audit import audit
from geodl.cli.change import change
from geodl.cli.demo import demo
from geodl.cli.doctor import doctor
from geodl.cli.examples import add_examples
from geodl.cli.explain import explain
from geodl.cli.guide import point_to_page
from geodl.cli.help import show_help
from geodl.cli.info import info
from geodl.cli.models import models
from geodl.cli.predict import predict
from geodl.cli.pretrain import pretrain
from geodl.cli.run import run
from geodl.cli.sample import sample
from geodl.cli.train import train
from geodl.cli.vectorize import vectorize
from geodl.cli.view import view
from geodl.errors import GeodlError
from geodl.heap import keep_heap

# Read by libraries when they load, hence set before any of them is imported; the user's own values win.
SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave the core to those that read and write
    "GDAL_CACHEMAX": "128",  # megabytes; by default GDAL takes 5 % of the machine, and no pixel is read twice
}


INTERRUPTED = 130  # as shells report SIGINT


class _Commands(click.Group):
    """Prints a `GeodlError` as one message and exits with its status; other errors keep their traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature of click
        return list(self.commands)  # in the order in which one comes to need them, not that of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GeodlError as error:
            click.secho(f"error: {error}", err=True, fg="red")
            point_to_page(error)
            ctx.exit(error.exit_status)
        except KeyboardInterrupt:
            message = "stopped: what is finished is kept, and the same command goes on from there"
            click.secho(message, err=True, fg="yellow")
            ctx.exit(INTERRUPTED)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="geodl")
def main() -> None:
    """Satellite and aerial rasters in, georeferenced maps out: land cover, buildings, roads, change."""
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)
    keep_heap()  # before any library starts a thread


for command in (
    demo,
    info,
    models,
    predict,
    change,
    run,
    view,
    vectorize,
    train,
    pretrain,
    assess,
    sample,
    audit,
    explain,
    doctor,
    show_help,
):
    main.add_command(command)
add_examples(main)
