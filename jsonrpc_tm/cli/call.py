"""The commands ``call`` and ``methods``."""

import asyncio
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..client import BaseClient
from ..core.errors import TMError
from .client_options import client_options, make_client
from .outputs import Unwritable
from .program import FAILED, Program, pass_program, print_json, say_error

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.DOTALL | re.ASCII)
_SPECIAL = re.compile(r"(text)?@(?P<file>.+)|text:(?P<text>.*)", re.DOTALL)
_NEGATIVE = re.compile(r"-\.?[0-9]")
_MISSING = object()
# seconds
_PATIENCE = 30.0
# no word of a command line can hold this character
_MARK = "\0"


class _WithNegativeNumbers(click.Command):
    """Takes ``-1`` for a value, not for an option called 1; other unknown options stay errors."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*."""
        rest = super().parse_args(ctx, [_MARK + word if _NEGATIVE.match(word) else word for word in args])
        for name, value in ctx.params.items():
            ctx.params[name] = tuple(map(_unmarked, value)) if isinstance(value, tuple) else _unmarked(value)
        return rest


def _unmarked(value: Any) -> Any:
    return value.removeprefix(_MARK) if isinstance(value, str) else value


@click.command(cls=_WithNegativeNumbers)
@click.argument("method")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE… | VALUE… | JSON | -]")
@click.option(
    "--once",
    metavar="KEY",
    help="Make the change once, whoever repeats this command under KEY; try again for half a minute where it failed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print result and error as one line of JSON, always.")
@client_options
@pass_program
@click.pass_context
def call(
    ctx: click.Context,
    program: Program,
    /,
    method: str,
    parameters: tuple[str, ...],
    once: str | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Call METHOD on a server, print its result.

    Parameters go by name (NAME=VALUE), by position, or all together as one JSON object or array; - reads that JSON
    from standard input, @FILE from a file.

    \b
    A VALUE is
      5, true, [1]  JSON if it parses,
      hello, -x     else text; words that begin with - and are no numbers go after --
      text:VALUE    text, whatever it looks like: text:5, text:[["a"]]
      @FILE         the file's content (@- for standard input): JSON if it parses, else text
      text@FILE     the file's content as text

    The result is JSON: indented on a terminal, one line otherwise. An error of the server goes to standard error: in
    words on a terminal, one line of JSON otherwise.

    \b
    Examples:
      jsonrpc-tm call ping
      jsonrpc-tm call getTransformation transName=12 extraParams=true
      jsonrpc-tm call setTransformationParameter 12 Body text@workflow.xml
      jsonrpc-tm call addFilesToTransformation '{"transName": 12, "lfns": ["/vo/a", "/vo/b"]}'
    """
    params = read_parameters(parameters)
    try:
        result = asyncio.run(_call(make_client(program.client_settings, options), method, params, once))
    except TMError as error:
        say_error(error, as_json=as_json or not sys.stderr.isatty())
        ctx.exit(FAILED)
    try:
        print_json(result, one_line=as_json)
    except Unwritable as error:
        raise Unwritable(f"{method} has been called, but {error}", quiet=error.quiet) from None


async def _call(
    opened: BaseClient, method: str, params: Sequence[Any] | Mapping[str, Any], once: str | None = None
) -> Any:
    async with opened:
        if once is not None:
            try:
                return await opened.once(method, params, key=once, patience=_PATIENCE)
            except ValueError as error:
                raise click.UsageError(f"{once!r}: {error}.") from None
        if isinstance(params, Mapping):
            return await opened.call(method, **params)
        return await opened.call(method, *params)


def read_parameters(given: Sequence[str]) -> list[Any] | dict[str, Any]:
    """Return a call's parameters from the words of the command line.

    :raises click.UsageError: they are given in two ways at once, or a name is there twice.
    """
    matches = [_NAMED.match(word) for word in given]
    values = [match[2] if match else word for match, word in zip(matches, given, strict=True)]
    if sum(word in ("@-", "text@-") for word in values) > 1:
        raise click.UsageError("Standard input can be read only once.")
    if len(given) == 1 and not any(matches):
        whole = value("@-" if given[0] == "-" else given[0])
        if given[0] == "-" and not isinstance(whole, list | dict):
            raise click.UsageError("Standard input must have a JSON object or array.")
        return whole if isinstance(whole, list | dict) else [whole]
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
    """Return what a word stands for: JSON, else text; ``text:`` and ``@FILE`` say more.

    :raises click.UsageError: the file cannot be read, or is not UTF-8.
    """
    special = _SPECIAL.fullmatch(word)
    if special is None:
        text = word
    elif special["file"] is not None:
        text = _content(special["file"])
    else:
        return special["text"]
    parsed = _MISSING if special is not None and special[1] else parse(text)
    return text if parsed is _MISSING else parsed


def _content(file: str) -> str:
    """Return the text in a file, ``-`` for standard input; ends of lines stay as they are."""
    where = "standard input" if file == "-" else file
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except OSError as error:
        raise click.UsageError(f"Cannot read {where}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"Cannot read {where}: it is not UTF-8.") from None


def parse(text: str) -> Any:
    """Return the value of a JSON text; ``_MISSING`` for anything else (NaN and Infinity are no JSON).

    :raises click.UsageError: it has a number that is too large to be sent.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return _MISSING


def _finite(word: str) -> float:
    number = float(word)
    if math.isinf(number):
        raise click.UsageError(f"{word[:200]} is too large for a number; text:{word[:200]} is text.")
    return number


def _refuse(word: str) -> None:
    raise ValueError(word)
