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

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GeodlError as error:
            click.secho(f"error: {error}", err=True, fg="red")
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
    """Satellite and aerial rasters in, georeferenced land cover maps out."""
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)
    keep_heap()  # before any library starts a thread


for command in (
    info,
    models,
    predict,
    change,
    run,
    vectorize,
    train,
    pretrain,
    assess,
    sample,
    audit,
    explain,
    demo,
    doctor,
    view,
):
    main.add_command(command)
add_examples(main)
