"""Versions of the schema: ordered steps, recorded in the table SchemaVersions as they are done."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Protocol

from ..core.errors import ConfigurationError
from .base import Transaction
from .dialect import Dialect

CORE = "jsonrpc_tm"
"""Owner of the core's tables."""
_FOLDER = files(__package__) / "migrations"
_RECORD = "INSERT INTO SchemaVersions (Owner, Version, AppliedAt) VALUES (:owner, :version, :now)"


class PluginMigration(Protocol):
    """The part of ``hookspecs.Migration`` that is used here."""

    owner: str
    version: int
    statements: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """One version of one owner's tables.

    :param statements: SQL for one engine.
    """

    owner: str
    version: int
    statements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.owner} {self.version}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a database has, and what this program wants of it.

    :param present: version by owner; empty for a blank database.
    :param wanted: version by owner.
    :param pending: steps to be done, in order.
    """

    present: Mapping[str, int]
    wanted: Mapping[str, int]
    pending: tuple[Step, ...]

    @property
    def blank(self) -> bool:
        """Whether the database holds nothing of the core's yet."""
        return CORE not in self.present


def split(script: str) -> tuple[str, ...]:
    """Return the statements of an SQL script; each ends with ``;`` at the end of a line."""
    bare = re.sub(r"^\s*--.*$", "", script, flags=re.MULTILINE)
    return tuple(part.strip() for part in re.split(r";\s*$", bare, flags=re.MULTILINE) if part.strip())


def core_steps(dialect: Dialect) -> tuple[Step, ...]:
    """Return the core's migrations for one engine, in order."""
    found = [re.fullmatch(rf"(\d{{4}})_\w+\.{dialect.name}\.sql", path.name) for path in _FOLDER.iterdir()]
    names = sorted(match[0] for match in found if match)
    return tuple(Step(CORE, int(name[:4]), _script(name, dialect)) for name in names)


def full_schema(dialect: Dialect) -> Step:
    """Return the core's tables as they are after all migrations, as one step for a blank database."""
    return Step(CORE, core_steps(dialect)[-1].version, _script(f"schema.{dialect.name}.sql", dialect))


def _script(name: str, dialect: Dialect) -> tuple[str, ...]:
    return tuple(dialect.ddl(statement) for statement in split((_FOLDER / name).read_text("utf-8")))


def plugin_steps(dialect: Dialect, migrations: Iterable[PluginMigration]) -> tuple[Step, ...]:
    """Return the plugins' migrations for one engine, by owner and version.

    :raises ConfigurationError: a plugin's versions are not 1, 2, 3 …, or it does not know this engine.
    """
    steps: dict[str, list[Step]] = {}
    for migration in sorted(migrations, key=lambda m: (m.owner, m.version)):
        owner, version = migration.owner, migration.version
        mine = steps.setdefault(owner, [])
        if owner == CORE or version != len(mine) + 1:
            raise ConfigurationError(f"migrations of plugin {owner!r} are not numbered 1, 2, 3 …: found {version}")
        if dialect.name not in migration.statements:
            raise ConfigurationError(f"plugin {owner!r} has no migration {version} for {dialect.name}")
        mine.append(Step(owner, version, tuple(map(dialect.ddl, migration.statements[dialect.name]))))
    return tuple(step for mine in steps.values() for step in mine)


async def probe(tx: Transaction) -> None:
    """Fail unless the database answers and has a schema of this program."""
    await tx.fetch_value("SELECT COUNT(*) FROM SchemaVersions")


async def plan(tx: Transaction, migrations: Iterable[PluginMigration] = ()) -> Plan:
    """Return what is to be done to the database.

    :raises ConfigurationError: it is newer than this program, or holds tables that are not this program's.
    """
    core, plugins = core_steps(tx.dialect), plugin_steps(tx.dialect, migrations)
    tables = {row["name"] for row in await tx.fetch_all(tx.dialect.tables)}
    present: dict[str, int] = {}
    if "SchemaVersions" in tables:
        rows = await tx.fetch_all("SELECT Owner, MAX(Version) AS Version FROM SchemaVersions GROUP BY Owner")
        present = {row["Owner"]: row["Version"] for row in rows}
    elif "Transformations" in tables:
        raise ConfigurationError(
            "the database holds tables that this program did not make; `jsonrpc-tm db adopt` takes over a"
            " TransformationDB of the reference service"
        )
    wanted: dict[str, int] = {}
    for step in (*core, *plugins):
        wanted[step.owner] = step.version
    for owner, version in wanted.items():
        if present.get(owner, 0) > version:
            raise ConfigurationError(
                f"the database is newer than this program: {owner} is at version {present[owner]},"
                f" this program knows {version}"
            )
    steps = (*((full_schema(tx.dialect),) if CORE not in present else core), *plugins)
    return Plan(present, wanted, tuple(step for step in steps if step.version > present.get(step.owner, 0)))


async def apply(tx: Transaction, step: Step, url: str, failure: type[Exception]) -> None:
    """Do one step and record it. SQLite undoes both together; on MySQL each statement of a schema commits itself.

    :param url: of the database, without the password, for messages.
    :param failure: what the engine raises.
    :raises ConfigurationError: a statement fails; the message says whose it is.
    """
    for statement in step.statements:
        try:
            await tx.execute(statement)
        except failure as error:
            raise ConfigurationError(
                f"migration {step.version} of {step.owner} cannot be applied to {url}: {error.args[-1]}; mend it, then"
                " `db upgrade` goes on"
            ) from error
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    await tx.execute(_RECORD, {"owner": step.owner, "version": step.version, "now": now})


def refuse(found: Plan) -> ConfigurationError:
    """Return the error for a database that has to be migrated first."""
    what = "is blank" if found.blank else f"lacks {', '.join(map(str, found.pending))}"
    return ConfigurationError(f"the database {what}: run `jsonrpc-tm db upgrade` (or set storage.migrate: true)")


def columns(statements: Sequence[str]) -> dict[str, set[str]]:
    """Return the columns by table that CREATE TABLE *statements*, formatted as in this package, make."""
    made: dict[str, set[str]] = {}
    for statement in statements:
        if match := re.match(r"CREATE TABLE (\w+) \(\n", statement):
            names = re.findall(r"^    (\w+) ", statement, flags=re.MULTILINE)
            made[match[1]] = set(names) - {"PRIMARY", "UNIQUE", "KEY", "CONSTRAINT", "FOREIGN"}
    return made


async def differences(tx: Transaction) -> list[str]:
    """Return sentences on the core's tables and columns that are missing; further ones are an extension's right."""
    rows: list[dict[str, Any]] = await tx.fetch_all(tx.dialect.columns)
    present: dict[str, set[str]] = {}
    for row in rows:
        present.setdefault(row["table_name"], set()).add(row["column_name"])
    findings = []
    for table, wanted in columns(full_schema(tx.dialect).statements).items():
        if table not in present:
            findings.append(f"table {table} is missing")
        else:
            findings += [f"column {table}.{column} is missing" for column in sorted(wanted - present[table])]
    return findings
