"""The commands ``call`` and ``methods``."""

import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..client import BaseClient, LocalClient
from ..docs import kind, methods_page, signature
from .client_options import client, client_options
from .program import Program, pass_program, print_json

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.DOTALL | re.ASCII)
_MISSING = object()


@click.command()
@click.argument("method")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE… | VALUE… | JSON | -]")
@client_options
@pass_program
def call(program: Program, /, method: str, parameters: tuple[str, ...], **options: str | None) -> None:
    """Call METHOD on a server, print its result.

    Parameters go by name (NAME=VALUE), by position, or all together as one JSON object or array; - reads that JSON
    from standard input. A value is JSON if it parses, else text: 5 is a number, '"5"' a text, hello a text too.
    The result is indented on a terminal and one line otherwise. An error goes to standard error, as JSON.

    \b
    Examples:
      jsonrpc-tm call ping
      jsonrpc-tm call getTransformation transName=12 extraParams=true
      jsonrpc-tm call addFilesToTransformation '{"transName": 12, "lfns": ["/vo/a", "/vo/b"]}'
    """
    params = read_parameters(parameters)
    print_json(asyncio.run(_call(client(program.client_settings, options), method, params)))


async def _call(opened: BaseClient, method: str, params: Sequence[Any] | Mapping[str, Any]) -> Any:
    async with opened:
        if isinstance(params, Mapping):
            return await opened.call(method, **params)
        return await opened.call(method, *params)


def read_parameters(given: Sequence[str]) -> list[Any] | dict[str, Any]:
    """Return a call's parameters from the words of the command line.

    :raises click.UsageError: they are given in two ways at once, or a name is there twice.
    """
    if list(given) == ["-"]:
        whole = parse(sys.stdin.read())
        if not isinstance(whole, list | dict):
            raise click.UsageError("Standard input must have a JSON object or array.")
        return whole
    if len(given) == 1 and isinstance(whole := parse(given[0]), list | dict):
        return whole
    matches = [_NAMED.match(word) for word in given]
    if not any(matches):
        return [value(word) for word in given]
    named: dict[str, Any] = {}
    for match, word in zip(matches, given, strict=True):
        if match is None:
            raise click.UsageError(f"Parameters go by name or by position, not both: {word!r} has no name.")
        if match[1] in named:
            raise click.UsageError(f"The parameter {match[1]} is there twice.")
        named[match[1]] = value(match[2])
    return named


def value(word: str) -> Any:
    """Return what *word* is as JSON, else the word itself."""
    parsed = parse(word)
    return word if parsed is _MISSING else parsed


def parse(text: str) -> Any:
    """Return the value of a JSON text; ``_MISSING`` for anything else (NaN and Infinity are no JSON)."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _MISSING


def _refuse(word: str) -> None:
    raise ValueError(word)


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
            from ..settings.types import suggestion

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
    from ..app import build_service
    from ..replay.scenario import load

    service = build_service(program.settings, plugins=program.plugins)
    return methods_page(service, [] if examples is None else load([examples]))


async def _discover(program: Program, options: Mapping[str, str | None]) -> dict[str, Any]:
    if options["url"] is not None:
        opened: BaseClient = client(program.client_settings, options)
    else:
        from ..app import build_service

        # not opened: describing the methods needs no database
        opened = LocalClient(build_service(program.settings, plugins=program.plugins))
    async with opened:
        document: dict[str, Any] = await opened.call("rpc.discover")
        return document


def _description(entry: Mapping[str, Any]) -> list[str]:
    lines = [signature(entry), "", entry.get("description") or entry.get("summary", ""), ""]
    for param in entry["params"]:
        text = param.get("description", "")
        lines.append(f"  {param['name']} ({kind(param['schema'])})" + f": {text}" * bool(text))
    rule = entry.get("x-rule", "")
    needs = " or ".join(rule) if isinstance(rule, list) else rule
    if entry.get("x-right"):
        needs += ", and the right on the transformation"
    return [*lines, "", f"Result: {entry['result'].get('description', '')}", f"Open to: {needs}"]
