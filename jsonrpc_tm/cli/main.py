"""The command ``jsonrpc-tm`` and where its subcommands are."""

import copy
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from .. import __version__
from ..core.errors import ConfigurationError
from ..core.spelling import suggestion
from . import outputs
from .program import Program, ending, say, shared_options

_COMMANDS = {
    "serve": "jsonrpc_tm.cli.serve:serve",
    "call": "jsonrpc_tm.cli.call:call",
    "methods": "jsonrpc_tm.tools.docs.command:methods",
    "plugins": "jsonrpc_tm.cli.information:plugins",
    "settings": "jsonrpc_tm.cli.information:settings",
    "check-config": "jsonrpc_tm.cli.checking:check_config",
    "db": "jsonrpc_tm.tools.adopt.command:db",
    "dev-certs": "jsonrpc_tm.cli.credentials:dev_certs",
    "token": "jsonrpc_tm.tools.tokens:command",
    "demo": "jsonrpc_tm.tools.demo.command:demo",
    "replay": "jsonrpc_tm.tools.replay.commands:replay",
    "record": "jsonrpc_tm.tools.replay.commands:record",
}
"""Imported when they are used: a call should not wait for what only the server needs."""


class Commands(click.Group):
    """Commands that are imported when used, then those of plugins; each has the shared options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, our own first."""
        try:
            plugged = sorted(_of_plugins(ctx))
        except ConfigurationError as error:  # help must not depend on a right configuration
            say(f"Commands of plugins are missing here: {error}")
            plugged = []
        return [*_COMMANDS, *plugged]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, with the shared options.

        :raises ConfigurationError: it is none of ours, and the plugins cannot be loaded; or it needs a package that is
            not installed.
        """
        if (where := _COMMANDS.get(cmd_name)) is not None:
            module, _, attribute = where.partition(":")
            try:
                return _sharing(getattr(importlib.import_module(module), attribute))
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("jsonrpc_tm"):
                    raise
                raise ConfigurationError(
                    f"`{cmd_name}` needs the package {error.name}: pip install 'jsonrpc-tm[tools]'"
                ) from None
        found = _of_plugins(ctx).get(cmd_name)
        return None if found is None else _sharing(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that *args* begin with; suggest one where it does not exist."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = suggestion(args[0], self.list_commands(ctx))
            raise click.UsageError(f"{error.message.rstrip('.')}{hint}.", ctx) from None


def _of_plugins(ctx: click.Context) -> Mapping[str, click.Command]:
    plugins = ctx.ensure_object(Program).plugins
    found: dict[str, click.Command] = {}
    for command, origin in plugins.collect("register_commands"):
        if not isinstance(command, click.Command):
            raise ConfigurationError(f"plugin {origin}, register_commands: {command!r:.100} is no click command")
        if command.name in _COMMANDS or command.name in found:
            raise ConfigurationError(f"plugin {origin}: there is a command {command.name} already")
        found[command.name or ""] = command
    return found


def _sharing(command: click.Command) -> click.Command:
    """Return a copy of *command*, and of what is below it, that has the shared options."""
    command = copy.copy(command)
    taken = {name for param in command.params for name in param.opts}
    command.params = [
        *command.params,
        *(option for option in shared_options() if taken.isdisjoint(option.opts)),
    ]
    if isinstance(command, click.Group):
        command.commands = {name: _sharing(below) for name, below in command.commands.items()}
    return command


@click.command(
    cls=Commands,
    params=shared_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the server answered with an error, 2 wrong usage or configuration, 3 no connection, "
    "4 the output cannot be written.",
)
@click.version_option(__version__, prog_name="jsonrpc-tm")
def program() -> None:
    """Keep the books of large data transformations: a JSON-RPC 2.0 server and what belongs to it."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    :param args: without the program's name; None for the process's own.
    """
    outputs.secure()
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> Any:
    """Run the command line and return the exit code."""
    try:
        code = program.main(args, prog_name="jsonrpc-tm", standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except Exception as error:
        return ending(error)
