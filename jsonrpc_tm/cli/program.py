"""What all commands share: the configuration they work with, and how they end."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..client import ConnectionFailed
from ..core.errors import ConfigurationError, DatabaseUnreachable, StorageUnavailable, TMError
from .outputs import Unwritable

if TYPE_CHECKING:
    from ..core.problems import Problems
    from ..plugin.manager import Plugins
    from ..settings import Settings

FAILED, WRONG, NO_CONNECTION, UNWRITABLE, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes: an error of a server, wrong usage or configuration, no connection, no way to tell, interrupted."""

TRACEBACK_VARIABLE = "JSONRPC_TM_TRACEBACK"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Program:
    """The options that every command has, and what follows from them.

    :param config: the file given with ``--config``.
    :param overrides: values given with ``--set``, by dotted name.
    """

    config: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def examined(self) -> tuple["Settings | None", "Plugins | None", "Problems"]:
        """Settings and plugins as far as they can be had, and what is wrong with them; see ``app.examine``."""
        from ..app import examine  # takes longer than everything else of a short command

        return examine(self.config_file, os.environ, self.overrides)

    @cached_property
    def _configured(self) -> tuple["Settings", "Plugins"]:
        settings, plugins, problems = self.examined
        problems.tell()
        assert settings is not None
        assert plugins is not None
        return settings, plugins

    def forget(self) -> None:
        """Read the configuration anew when it is asked for: finding a plugin's command needed it already."""
        self.__dict__.pop("_configured", None)
        self.__dict__.pop("examined", None)

    @property
    def config_file(self) -> Path | None:
        """The configuration file in use, None without one."""
        from ..settings import find_config

        return find_config(self.config)

    @property
    def settings(self) -> "Settings":
        """The validated settings.

        :raises ConfigurationError: they are wrong.
        """
        return self._configured[0]

    @property
    def client_settings(self) -> "Settings":
        """The settings, for a command that only calls: plugins are not loaded unless one's settings are there.

        :raises ConfigurationError: they are wrong.
        """
        from ..settings import load

        try:
            return load(self.config_file, os.environ, self.overrides)
        except ConfigurationError:
            return self.settings

    @property
    def plugins(self) -> "Plugins":
        """The loaded plugins.

        :raises ConfigurationError: one is wrong.
        """
        return self._configured[1]


def _note_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        program = ctx.ensure_object(Program)
        program.config = value
        program.forget()


def _note_overrides(ctx: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
    program = ctx.ensure_object(Program)
    for text in values:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", ctx, param_hint="--set")
        program.overrides[name.strip()] = value
        program.forget()


def shared_options() -> list[click.Parameter]:
    """Return new options for the configuration; every command has them."""
    return [
        click.Option(
            ["-c", "--config"],
            metavar="FILE",
            expose_value=False,
            is_eager=True,
            callback=_note_config,
            help="Configuration; else $JSONRPC_TM_CONFIG, else ./config.yaml, else the defaults.",
        ),
        click.Option(
            ["--set"],
            metavar="NAME=VALUE",
            multiple=True,
            expose_value=False,
            is_eager=True,
            callback=_note_overrides,
            help="Change a setting, for example --set server.port=0. May be repeated.",
        ),
    ]


pass_program = click.make_pass_decorator(Program, ensure=True)
"""Gives a command the ``Program``, with its settings and plugins, as the first argument."""


def say(text: str) -> None:
    """Print a sentence on standard error."""
    click.echo(text, err=True)


def ending(error: BaseException) -> int:
    """Tell the user about *error* on standard error, in sentences, and return the exit code.

    An error of a server is JSON for programs. An error that is a bug is raised when ``JSONRPC_TM_TRACEBACK`` is set.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    match error:
        case click.ClickException():
            error.show()
            return WRONG
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case DatabaseUnreachable():
            say(f"Error: {error}.")
            return NO_CONNECTION
        case ConfigurationError():
            for line in str(error).splitlines():
                say(f"Error: {line}")
            return WRONG
        case ConnectionFailed():
            say(f"Error: {error}")
            return NO_CONNECTION
        case TMError():
            say_error(error, as_json=not sys.stderr.isatty())
            return FAILED
        case Unwritable():
            if not error.quiet:
                say(f"Error: {error}.")
            return UNWRITABLE
        case OSError() if error.strerror:
            say(f"Error: {error.filename or 'the system'}: {error.strerror}")
            return WRONG
        case _:
            if os.environ.get(TRACEBACK_VARIABLE):
                raise error
            say(f"Error: this is a bug: {type(error).__name__}: {error}. {TRACEBACK_VARIABLE}=1 shows where.")
            return FAILED


def say_error(error: TMError, *, as_json: bool) -> None:
    """Print an error of a server on standard error: in words, or as the error object of JSON-RPC in one line."""
    if as_json:
        data = {**error.data, "type": error.type}
        say(json_text({"code": error.code, "message": error.message, "data": data}))
    else:
        from .words import in_words

        for line in in_words(error):
            say(line)


def json_text(value: Any, *, indented: bool = False) -> str:
    """Return *value* as JSON text, in one line or indented for people."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0).decode()


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Print *value*: indented on a terminal, in one line otherwise or where *one_line* asks for it."""
    click.echo(json_text(value, indented=not one_line and sys.stdout.isatty()))


def reachable(error: StorageUnavailable) -> ConnectionFailed:
    """Return what a command says when the database does not answer."""
    return ConnectionFailed(error.message, sent=True)
