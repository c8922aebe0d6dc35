"""The command ``methods``."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ...app import build_service
from ...cli.client_options import client_options, make_client
from ...cli.program import Program, pass_program, print_json
from ...core.spelling import suggestion
from ..replay.scenario import load
from .page import docstring, kind, methods_page, outcome, signature


@click.command()
@click.argument("method", required=False)
@click.option("--json", "as_document", is_flag=True, help="Print the OpenRPC document, or the method's part of it.")
@click.option("--markdown", "as_page", is_flag=True, help="Print the reference page of the configured methods.")
@click.option("--examples", type=click.Path(path_type=Path), metavar="DIR", help="Its examples: scenarios in DIR.")
@client_options
@pass_program
def methods(
    program: Program,
    /,
    method: str | None,
    as_document: bool,
    as_page: bool,
    examples: Path | None,
    **options: str | None,
) -> None:
    """List the methods, or describe METHOD.

    They are those of the configuration and its plugins; with --url, those of a running server.
    """
    if as_page:
        click.echo(_page(program, examples), nl=False)
        return
    document = asyncio.run(_discover(program, options))
    if method is not None:
        found = [entry for entry in document["methods"] if entry["name"] == method]
        if not found:
            names = [entry["name"] for entry in document["methods"]]
            raise click.UsageError(f"There is no method {method}{suggestion(method, names)}.")
        if as_document:
            print_json(found[0])
        else:
            click.echo("\n".join(_description(found[0])))
    elif as_document:
        print_json(document)
    else:
        for entry in document["methods"]:
            click.echo(f"{signature(entry)}\n    {entry.get('summary', '')}")


def _page(program: Program, examples: Path | None) -> str:
    service = build_service(program.settings, plugins=program.plugins)
    return methods_page(service, program.plugins, [] if examples is None else load([examples]))


async def _discover(program: Program, options: Mapping[str, str | None]) -> dict[str, Any]:
    if options["url"] is not None:
        async with make_client(program.client_settings, options) as opened:
            found: dict[str, Any] = await opened.call("rpc.discover")
            return found
    # not opened: describing the methods needs no database
    return dict(build_service(program.settings, plugins=program.plugins).document)


def _description(entry: Mapping[str, Any]) -> list[str]:
    prose, raised = docstring(entry.get("description") or entry.get("summary", ""))
    lines = [signature(entry), "", prose, ""]
    for param in entry["params"]:
        text = param.get("description", "")
        lines.append(f"  {param['name']} ({kind(param['schema'])})" + f": {text}" * bool(text))
    rule = entry.get("x-rule", "")
    needs = " or ".join(rule) if isinstance(rule, list) else rule
    if entry.get("x-right"):
        needs += ", and the right on the transformation"
    lines += ["", f"Result: {outcome(entry['result'])}", f"Open to: {needs}"]
    return [*lines, *["Errors:"] * bool(raised), *(f"  {name}: {why}" for name, why in raised)]
