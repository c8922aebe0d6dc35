"""The command ``check-config``, and what it shares with ``serve`` and ``settings``: one look at the whole."""

import contextlib
import importlib
import logging
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ..core.problems import Problems
from .program import Program, pass_program

if TYPE_CHECKING:
    from ..rpc.service import Service


@click.command("check-config")
@pass_program
def check_config(program: Program) -> None:
    """Tell whether a server would start.

    Everything that `serve` would refuse is told at once, with file and line; exit code 2. Nothing is opened or made:
    the database, the port and the keys of token issuers behind a URL are not looked at.
    """
    with warnings_told():
        checked(program)
    click.echo(f"{program.config_file or 'The configuration'} is right.")


def checked(program: Program, *, harness: bool = False) -> "Service":
    """Return the service that the configuration describes, not opened.

    :param harness: whether tests drive it.
    :raises ConfigurationError: there are reasons not to serve it; a line for each.
    """
    from ..app import build_service
    from ..http import server

    settings, plugins, problems = program.examined
    if settings is None:
        problems.tell()
        raise AssertionError("settings that are not there have a reason")
    found = Problems(settings.located)
    service: Service | None = None
    if plugins is not None and harness:
        # by name: a server in production loads none of the tools
        driven = importlib.import_module("jsonrpc_tm.tools.harness").driven
        service = found.attempt(lambda: driven(settings, plugins), None)
    elif plugins is not None:
        service = found.attempt(lambda: build_service(settings, plugins=plugins), None)
    found.attempt(lambda: server.check(settings, service), None)
    # where a section has a wrong value, its default stands in: what follows from that is not the user's doing
    doubtful = {name.partition(".")[0] for name in settings.table}
    doubtful = {name for name in doubtful if any(_about(name, line) for line in problems.lines)}
    problems.note("\n".join(line for line in found.lines if not any(_about(name, line) for name in doubtful)))
    problems.tell()
    assert service is not None
    return service


def _about(section: str, line: str) -> bool:
    return re.search(rf"(?:^|: ){section}[.:\[]", line) is not None


@contextlib.contextmanager
def warnings_told() -> Iterator[None]:
    """Print warnings as sentences, for commands that have no log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("Warning: %(message)s"))
    handler.setLevel(logging.WARNING)
    package = logging.getLogger("jsonrpc_tm")
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
