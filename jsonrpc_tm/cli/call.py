"""The commands ``call`` and ``methods``."""

import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..client import BaseClient
from .client_options import client_options, make_client
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
    print_json(asyncio.run(_call(make_client(program.client_settings, options), method, params)))


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
