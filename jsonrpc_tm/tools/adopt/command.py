"""``jsonrpc-tm db adopt``."""

import asyncio

import click

from ...auth.dn import canonical
from ...cli.database import db
from ...cli.program import FAILED, WRONG, Program, pass_program
from ...core.errors import ConfigurationError
from ...storage.mysql import MySQLStorage
from .adoption import CHUNK, AdoptionReport, adopt, drop_old, examine
from .found import Survey
from .rows import AuthorOf
from .rules import by_row as by_rows
from .survey import ROOM
from .tables import Adopted


@db.command("adopt")
@click.option("--dry-run", is_flag=True, help="Look only: show what is there and what would be done.")
@click.option("--chunk", type=click.IntRange(1), default=CHUNK, show_default=True, help="Rows a transaction.")
@click.option("--restart", is_flag=True, help="Forget what an interrupted adoption did, and begin from the start.")
@click.option("--all", "everything", is_flag=True, help="With --dry-run: list every row of each kind, and all changes.")
@click.option("--drop-old", "drop", is_flag=True, help="After an adoption: drop the tables that it replaced.")
@click.pass_context
@pass_program
def command(
    program: Program, ctx: click.Context, dry_run: bool, chunk: int, restart: bool, everything: bool, drop: bool
) -> None:
    """Take over a TransformationDB of the reference service.

    Stop the reference service first, and make a backup. New tables are filled beside the old ones, compared with them
    row for row, and change places with them at the end; the old ones stay as reference_… until --drop-old. The command
    can be interrupted and given again: it goes on where it ended.
    """
    from ...app import make_parts

    parts = make_parts(program.settings, program.plugins)
    storage = parts.storage
    if not isinstance(storage, MySQLStorage):
        raise ConfigurationError("db adopt works on a mysql:// database; set storage.url to the TransformationDB")

    def author_of(dn: str) -> str | None:
        try:
            user = parts.users.by_dn(canonical(dn))
        except ConfigurationError:
            return None  # no DN at all
        return user.name if user else None

    if drop:
        for name in asyncio.run(drop_old(storage)):
            click.echo(f"dropped {name}")
    elif dry_run:
        found = asyncio.run(examine(storage, author_of, everything=everything))
        _show(found)
        if found.blocked:
            ctx.exit(WRONG if any(finding.code == "rights" for finding in found.blocking) else FAILED)
        _show_plan(found, chunk)
        _advise(program)
    else:
        _show_results(_adopt(storage, author_of, chunk, restart))
        _advise(program)


def _adopt(storage: MySQLStorage, author_of: AuthorOf, chunk: int, restart: bool) -> AdoptionReport:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description:<36}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    rows: dict[tuple[str, str], TaskID] = {}

    def started(found: Survey) -> None:
        _show(found)
        if not found.blocked:
            for verb in ("copy", "compare"):
                for name, number in found.rows.items():
                    rows[verb, name] = bar.add_task(f"{verb} {name}", total=number)

    def advance(verb: str, table: Adopted, number: int) -> None:
        bar.advance(rows[verb, table.name], number)

    with bar:
        return asyncio.run(adopt(storage, author_of, chunk=chunk, restart=restart, started=started, advance=advance))


def _show(found: Survey) -> None:
    for finding in found.findings:
        click.echo(f"{'TO BE MENDED' if finding.blocking else 'note'}: {finding.text}")
        for example in finding.examples:
            click.echo(f"    {example}")
        if finding.more:
            click.echo("    … (--dry-run --all lists every one)")


def _show_plan(found: Survey, chunk: int) -> None:
    click.echo("This would be done:")
    for table in found.tables():
        source, by_row = found.sources[table.name], by_rows(table, found.own(table.name))
        how = f"copied, {', '.join(by_row)} converted" if by_row else "copied"
        click.echo(f"  {source}: {found.rows[table.name]} row(s) {how}, {chunk} at a time, compared")
        if found.everything:
            for change in found.plans[table.name].own:
                click.echo(f"    {change}")
    if found.lacks("Transformations", "Author"):
        click.echo("  Author: the registry's user of AuthorDN, else the DN")
    if found.lacks("TransformationLog", "recid"):
        click.echo("  TransformationLog: lines numbered by their time")
    click.echo("  the trigger TaskID_Generator dropped, if there; counters of task numbers filled")
    click.echo("  the old tables renamed to reference_…, the new ones put in their place, in one step")
    if found.left:
        click.echo(f"  left as they are: {', '.join(found.left)}")
    click.echo(f"The old tables take {found.room:,} bytes on disk; there must be room for {ROOM * found.room:,} more.")


def _advise(program: Program) -> None:
    if program.settings["catalog"]["name"] == "builtin":
        click.echo(
            "The server's built-in catalog knows none of the site's files: where they are in another one, set"
            " `catalog: none` (docs/dirac.md)."
        )


def _show_results(report: AdoptionReport) -> None:
    click.echo(f"{'table':<28}{'before':>12}{'after':>12}{'set aside':>12}  checksum, before and after")
    for name, result in report.results.items():
        before = report.survey.rows[name]
        click.echo(f"{name:<28}{before:>12}{result.copied:>12}{result.aside:>12}  {result.digest:048x}")
    for warning in report.warnings:
        click.echo(f"note: the database warned: {warning}")
    click.echo(
        "The database is adopted. The old tables are there as reference_…; drop them with `db adopt --drop-old`."
    )
