"""``serve --harness``: a server that a test drives, with a clock that is set and a storage that is emptied.

It adds ``harness.reset`` and ``harness.setClock``, open to everybody who reaches it; so it serves loopback addresses
only, and refuses a database that has any row.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from marshmallow import missing, validate

from ..app import Plugins, assemble, load_plugins, make_parts, open_authenticators, open_catalog
from ..catalog.base import Catalog
from ..catalog.guard import GuardedCatalog
from ..catalog.memory import DictCatalog
from ..core import fields
from ..core.addresses import is_loopback
from ..core.clock import utc_now
from ..core.errors import ConfigurationError, InvalidParams
from ..core.identity import Authenticator, Credentials, Identity
from ..domain import active_queries
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Method
from ..rpc.service import Service
from ..settings import Settings
from ..storage.base import Storage, Transaction

BOOKKEEPING = ("SchemaVersions", "CommitMarkers", "ClusterClaims", "Versions")
"""Tables that say nothing about transformations: they are not emptied, and may have rows."""


class ManualClock:
    """A clock that stands still until it is set.

    :param now: UTC, aware; None for the present moment.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or utc_now()

    def __call__(self) -> datetime:
        """Return the moment it shows."""
        return self.now

    def set(self, text: str) -> None:
        """Set it to an ISO 8601 date-time; without offset it is UTC.

        :raises ValueError: it is not one.
        """
        now = datetime.fromisoformat(text)
        self.now = (now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)).replace(microsecond=0)


class Harness:
    """A service that a test drives, and the handle on it.

    :param methods: whether ``harness.reset`` and ``harness.setClock`` can be called.
    :param storage: what is given here and below is used; the rest comes from the plugins as the settings say.
    :raises ConfigurationError: the settings are wrong.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        plugins: Plugins | None = None,
        methods: bool = False,
        storage: Storage | None = None,
        catalog: Catalog | None = None,
        authenticators: Iterable[Authenticator] | None = None,
    ) -> None:
        plugins = plugins or load_plugins(entry_points=False, shipped=False)
        self.clock = ManualClock()
        parts = make_parts(settings, plugins, storage=storage, clock=self.clock)
        self.catalog = SwitchableCatalog(catalog or open_catalog(parts, plugins))
        if authenticators is None:
            authenticators = open_authenticators(parts, plugins)
        self.service = assemble(
            parts,
            plugins,
            catalog=self.catalog,
            # a certificate is valid now, whatever time the scenario plays in
            authenticators=map(_PresentTime, authenticators),
            extra_methods=self._methods() if methods else (),
            lifetimes=[_empty_at_start],
        )

    async def reset(self, now: str, catalog: Mapping[str, Any] | None) -> None:
        """Empty the storage, set the clock and the catalog.

        :param now: ISO 8601.
        :param catalog: the content of a catalog.json; None for the server's own catalog.
        :raises ValueError: *now* or *catalog* has another form; nothing is changed.
        """
        chosen = self.catalog.own if catalog is None else DictCatalog(catalog)
        await self.set_clock(now)
        await empty(self.service.storage)
        self.catalog.current = chosen

    async def set_clock(self, now: str) -> None:
        """Set the clock.

        :param now: ISO 8601.
        """
        self.clock.set(now)

    def _methods(self) -> Iterable[Method]:
        async def reset(outside: Outside, now: str, catalog: dict[str, Any] | None) -> None:
            """Empty the storage, set the clock and put a file catalog in place of the configured one."""
            try:
                await self.reset(now, catalog)
            except ValueError as error:
                raise InvalidParams("Invalid catalog", errors={"catalog": [str(error)]}) from None

        async def set_clock(outside: Outside, now: str) -> None:
            """Set the server's clock, which stands still in between."""
            await self.set_clock(now)

        now = fields.DateTime(
            required=True,
            load_default=missing,
            allow_none=False,
            validate=validate.NoneOf([None], error="Must not be empty."),
            metadata={"description": "The moment the server's clock shows, UTC."},
        )
        content = fields.Object(
            load_default=None,
            allow_none=True,
            metadata={"description": "Fields, directories and files; null for the configured catalog."},
        )
        yield Method("harness.reset", reset, {"now": now, "catalog": content}, rule="all", result=results.NULL)
        yield Method("harness.setClock", set_clock, {"now": now}, rule="all", result=results.NULL)


class SwitchableCatalog(GuardedCatalog):
    """A catalog in whose place another one can be put while the server runs.

    :param own: the one that is opened and closed with the server; ``current`` is the one that answers.
    """

    def __init__(self, own: Catalog) -> None:
        super().__init__(own)
        self.own = own

    async def __aenter__(self) -> "SwitchableCatalog":
        await self.own.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.own.__aexit__(*exc)

    @property
    def current(self) -> Catalog:
        """The catalog that answers."""
        return self._catalog

    @current.setter
    def current(self, catalog: Catalog) -> None:
        self._catalog = catalog


class _PresentTime:
    """An authenticator that sees the real time instead of the harness's."""

    def __init__(self, authenticator: Authenticator) -> None:
        self.name = authenticator.name
        self._authenticator = authenticator

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        return await self._authenticator.authenticate(credentials._replace(now=datetime.now(UTC)))


async def empty(storage: Storage) -> None:
    """Delete every row, so that identifiers start at 1 again."""

    async def body(tx: Transaction) -> None:
        numbered = [row["name"] for row in await tx.fetch_all(tx.dialect.numbered)]
        for statement in tx.dialect.empty(await _tables(tx), numbered):
            await tx.execute(statement)
        await active_queries.write(tx, range(active_queries.BUCKETS))

    await storage.run("harness.reset", body)


async def filled_tables(storage: Storage) -> list[str]:
    """Return the tables that have rows."""

    async def body(tx: Transaction) -> list[str]:
        return [
            table
            for table in await _tables(tx)
            if await tx.fetch_value(f"SELECT 1 FROM {table} LIMIT 1") is not None  # the name is the database's own
        ]

    return await storage.run("harness.filled_tables", body, read=True)


async def _tables(tx: Transaction) -> list[str]:
    return [row["name"] for row in await tx.fetch_all(tx.dialect.tables) if row["name"] not in BOOKKEEPING]


@asynccontextmanager
async def _empty_at_start(service: Service) -> AsyncIterator[None]:
    if filled := await filled_tables(service.storage):
        raise ConfigurationError(f"--harness empties the database, and this one has rows in {', '.join(filled)}")
    yield


def driven(settings: Settings, plugins: Plugins) -> Service:
    """Return a service that callers drive by ``harness.…``.

    :raises ConfigurationError: others than tests on this machine could reach it, or there are several workers.
    """
    check_settings(settings)
    return Harness(settings, plugins=plugins, methods=True).service


def check_settings(settings: Settings) -> None:
    """Refuse to be driven by others than tests on this machine.

    :raises ConfigurationError: ``server.host`` is not a loopback address, or there are several workers.
    """
    host = settings["server.host"]
    if not is_loopback(host):
        raise ConfigurationError(f"--harness serves loopback addresses only, and server.host is {host!r}")
    if settings["server.workers"] != 1:
        raise ConfigurationError("--harness keeps its clock in one process: server.workers must be 1")
