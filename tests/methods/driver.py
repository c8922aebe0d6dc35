"""A service of the methods alone, driven in process, whose SQL statements can be counted."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from jsonrpc_tm.api import hookimpl
from jsonrpc_tm.app import load_plugins
from jsonrpc_tm.auth.policy import DefaultPolicy
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import TMError
from jsonrpc_tm.core.events import Event
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.core.records import StatusRule
from jsonrpc_tm.settings import load
from jsonrpc_tm.tools.harness import Harness
from jsonrpc_tm.tools.testing.cast import PEOPLE

NEW = ("short", "long", "Processing", "Standard", "Manual", "")
"""The parameters of addTransformation that have no default, after the name."""


class Counted:
    """A transaction that writes down its statements."""

    def __init__(self, tx: Any, statements: list[str]) -> None:
        self._tx = tx
        self._statements = statements
        self.dialect = tx.dialect

    def __getattr__(self, verb: str) -> Any:
        if verb == "aside":  # no statement
            return self._tx.aside

        async def noted(sql: str, *args: Any) -> Any:
            self._statements.append(sql)
            return await getattr(self._tx, verb)(sql, *args)

        return noted


class CountingStorage:
    """A storage whose statements are counted; the one below does the work."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.url = storage.url
        self.statements: list[str] = []
        self.only: str | None = None
        """The transactions that are counted, by name; None for all, what goes on in the background too."""

    async def __aenter__(self) -> "CountingStorage":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        return self.storage.stream(*args, **kwargs)

    def streams_at_once(self, caller: str) -> bool:
        return self.storage.streams_at_once(caller)

    async def run(self, name: str, body: Any, *args: Any, read: bool = False, caller: str = "", **kwargs: Any) -> Any:
        async def counted(tx: Any) -> Any:
            counts = self.only in (None, name)
            return await body(Counted(tx, self.statements) if counts else tx, *args, **kwargs)

        return await self.storage.run(name, counted, read=read, caller=caller)


class Policy(DefaultPolicy):
    """The default one, with a reading rule that a test may set."""

    allowed: Mapping[str, Any] | None = None

    def readable(self, identity: Identity) -> Mapping[str, Any] | None:
        return self.allowed


class Own:
    """A plugin: the policy and rules of the driver that is made next, and its ear for events."""

    policy: Policy
    rules: tuple[StatusRule, ...]
    events: list[Event]

    @hookimpl
    def register_policy(self) -> Iterable[Policy]:
        return [self.policy]

    @hookimpl
    def register_status_rule(self) -> Iterable[StatusRule]:
        return self.rules

    @hookimpl
    def register_listener(self) -> Iterable[Any]:
        return [self.events.append]


OWN = Own()
# hooks are asked when a service is made: finding the plugins anew would take longer than most tests
PLUGINS = load_plugins(extra=[OWN], entry_points=False, shipped=False)


class Driver:
    """Calls methods: ``await tm("getTransformation", 1)``, ``who`` says as whom."""

    def __init__(
        self, storage: Any, catalog: Any = None, rules: Iterable[StatusRule] = (), settings: Mapping[str, Any] = {}
    ) -> None:
        self.storage = CountingStorage(storage)
        self.policy = Policy()
        self.events: list[Event] = []
        OWN.policy, OWN.rules, OWN.events = self.policy, tuple(rules), self.events
        self.harness = Harness(
            load(None, {}, settings, ()),
            plugins=PLUGINS,
            storage=self.storage,  # type: ignore[arg-type]
            catalog=catalog or DictCatalog({}),
            authenticators=(),
        )
        self.service = self.harness.service
        self.catalog = self.harness.catalog
        self.harness.clock.now = datetime(2024, 10, 15, 12, tzinfo=UTC)

    def later(self, seconds: int = 1) -> None:
        """Let time pass."""
        self.harness.clock.now += timedelta(seconds=seconds)

    async def __call__(self, method: str, *params: Any, who: str | Identity = "manager", **named: Any) -> Any:
        # by way of JSON, as on the wire
        given = orjson.loads(orjson.dumps(named or params))
        identity = who if isinstance(who, Identity) else PEOPLE[who]
        return orjson.loads(orjson.dumps(await self.service.call(self.service.context(identity), method, given)))

    async def refused(self, kind: str, method: str, *params: Any, who: str = "manager", **named: Any) -> dict[str, Any]:
        """Call a method that must fail; return the error's data."""
        with pytest.raises(TMError) as caught:
            await self(method, *params, who=who, **named)
        assert caught.value.type == kind, caught.value.message
        return caught.value.data

    async def add(self, name: str = "t", who: str = "manager", **named: Any) -> int:
        """Create a transformation."""
        names = ("description", "longDescription", "transType", "plugin", "agentType", "fileMask")
        return await self(
            "addTransformation", who=who, **{"transName": name, **dict(zip(names, NEW, strict=True)), **named}
        )

    async def statements(self, method: str, *params: Any, **named: Any) -> int:
        """Call a method and return how many statements it took."""
        self.storage.statements.clear()
        self.storage.only = method
        await self(method, *params, **named)
        self.storage.only = None
        return len(self.storage.statements)

    async def log(self, trans: int | str = 1) -> list[str]:
        """Return the messages of a transformation's log."""
        return [line["Message"] for line in await self("getTransformationLogging", trans)]

    async def fetch(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Look into the database."""

        async def body(tx: Any) -> Any:
            return await tx.fetch_all(sql, parameters)

        return await self.storage.storage.run("test", body, read=True)

    async def execute(self, sql: str, **parameters: Any) -> int:
        """Do to the database what another program may have done."""

        async def body(tx: Any) -> int:
            return await tx.execute(sql, parameters)

        return await self.storage.storage.run("test", body)

    async def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Return everything in the database that methods write."""
        tables = (
            "Transformations AdditionalParameters DataFiles TransformationFiles TransformationTasks"
            " TransformationFileTasks TaskInputs TransformationMetaQueries TransformationLog TaskCounters"
        )
        return {table: await self.fetch(f"SELECT * FROM {table}") for table in tables.split()}
