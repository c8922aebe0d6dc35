"""The commands ``db …``: the schema of the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from ..core.errors import StorageUnavailable
from ..storage.base import Schema, Storage
from .program import FAILED, Program, pass_program, reachable

T = TypeVar("T")


@click.group()
def db() -> None:
    """Look after the database's schema."""


def _run(program: Program, work: Callable[[Storage], Awaitable[T]]) -> T:
    """Do *work* on the configured database, which is not opened."""
    from ..app import open_storage

    try:
        return asyncio.run(_await(work(open_storage(program.settings, program.plugins, wait=False))))
    except StorageUnavailable as error:
        raise reachable(error) from None


async def _await(work: Awaitable[T]) -> T:
    return await work


def _schema(program: Program) -> Schema:
    return _run(program, lambda storage: storage.schema())


@db.command()
@pass_program
def current(program: Program) -> None:
    """Show versions: the database's, the program's."""
    schema = _schema(program)
    for owner, wanted in schema.wanted.items():
        click.echo(f"{owner}: version {schema.present.get(owner, 0)} of {wanted}")
    for owner in sorted(schema.present.keys() - schema.wanted.keys()):
        click.echo(f"{owner}: version {schema.present[owner]}, of a plugin that is not loaded")


@db.command()
@pass_program
def upgrade(program: Program) -> None:
    """Bring the tables up to date.

    A blank database gets all of them. There is no way back but a backup made before.
    """
    done = _run(program, lambda storage: storage.upgrade())
    for step in done:
        click.echo(f"done: {step}")
    if not done:
        click.echo("The database is up to date.")


@db.command()
@click.pass_context
@pass_program
def check(program: Program, ctx: click.Context) -> None:
    """Tell whether the tables are right.

    Exit code 1 when this program needs something else.
    """
    schema = _schema(program)
    findings = [f"to be done: {step}" for step in schema.pending] + list(schema.differences)
    for finding in findings:
        click.echo(finding)
    if schema.pending:
        click.echo("`jsonrpc-tm db upgrade` does it; make a backup first.")
    elif findings:
        click.echo("Something else has changed these tables: restore a backup.")
    if findings:
        ctx.exit(FAILED)
    click.echo("The database is up to date.")


@db.command("dump-schema")
@pass_program
def dump_schema(program: Program) -> None:
    """Print the database's own CREATE statements."""
    for statement in _schema(program).dump:
        click.echo(f"{statement.rstrip(';')};")
