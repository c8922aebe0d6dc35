"""The commands ``db …``: the schema of the database, and whether its rows are right."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

import click

from ..core.clock import utc_now
from ..core.errors import ConfigurationError, StorageUnavailable
from ..storage.base import Row, Schema, Storage
from .program import FAILED, Program, json_text, pass_program, print_json, reachable

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
@click.option("--repair", is_flag=True, help="Make wrong counters right; the server may run.")
@click.pass_context
@pass_program
def check(program: Program, ctx: click.Context, repair: bool) -> None:
    """Tell whether the tables are right, their rows can be read, and the counters of files and tasks are what they say.

    It reads everything. Exit code 1 when this program needs something else, the stored data are damaged, or counters
    are wrong and were not made right.
    """
    schema = _schema(program)
    findings = [f"to be done: {step}" for step in schema.pending] + list(schema.differences)
    findings += [f"damaged: {point}" for point in _run(program, lambda storage: storage.check())]
    for finding in findings:
        click.echo(finding)
    if schema.pending:
        click.echo("`jsonrpc-tm db upgrade` does it; make a backup first.")
    elif findings:
        click.echo("Something else has changed these tables, or their backup was not whole: restore a whole one.")
    if findings:
        ctx.exit(FAILED)
    wrong = _run(program, lambda storage: _recount(storage, repair))
    for row in wrong:
        click.echo(f"{'mended' if repair else 'wrong'} counter: {json_text(row)}")
    if wrong and not repair:
        click.echo("`jsonrpc-tm db check --repair` makes it right.")
        ctx.exit(FAILED)
    click.echo("The database is up to date.")


async def _recount(storage: Storage, repair: bool) -> list[Row]:
    from ..domain.recount import recount

    async with storage:
        return [row async for row in recount(storage, utc_now() if repair else None)]


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
@pass_program
def verify(program: Program, ctx: click.Context, as_json: bool) -> None:
    """Tell whether the books agree with themselves.

    Compares what is written down twice, such as a task's inputs and the history of its files, and looks for rows whose
    owner is gone. It only reads; the server may run. Exit code 1 when something does not agree.
    """
    from ..domain.verify import Violation
    from ..domain.verify import verify as look

    async def work(storage: Storage) -> list[Violation]:
        if (await storage.schema()).pending:
            raise ConfigurationError("the tables are not up to date: `jsonrpc-tm db check` says more")
        async with storage:
            return [finding async for finding in look(storage)]

    found = _run(program, work)
    if as_json:
        print_json([asdict(finding) for finding in found])
    for finding in [] if as_json else found:
        click.echo(f"{finding.count} {finding.text}, such as {json_text(finding.examples[0])} ({finding.check})")
    if found:
        ctx.exit(FAILED)
    if not as_json:
        click.echo("The books agree with themselves.")


@db.command("dump-schema")
@pass_program
def dump_schema(program: Program) -> None:
    """Print the database's own CREATE statements."""
    for statement in _schema(program).dump:
        click.echo(f"{statement.rstrip(';')};")
