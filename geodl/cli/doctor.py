"""`geodl doctor`."""

import json
from dataclasses import asdict

import click

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this installation, and say what to mend.

    Looks at Python, torch and the GPU, GDAL and PROJ, the bundled models, memory, disk and threads. The exit
    status is 1 if something does not work.
    """
    from geodl.doctor import check_installation

    findings = check_installation()
    failed = [finding for finding in findings if finding.state == "fail"]
    if as_json:
        click.echo(json.dumps({"ok": not failed, "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            state = click.style(f"{finding.state:4}", fg=_COLOURS[finding.state])
            click.echo(f"{state}  {finding.name:{width}}  {finding.found}")
            if finding.cure:
                click.echo(f"{'':{width + 8}}{finding.cure}")
        click.echo(f"{len(failed)} of {len(findings)} do not work" if failed else "geodl is fit to work")
    if failed:
        ctx.exit(1)
