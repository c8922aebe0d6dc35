"""A service of the methods alone, driven in process, whose SQL statements can be counted."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from jsonrpc_tm.auth.policy import DefaultPolicy
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core.errors import TMError
from jsonrpc_tm.core.identity import ANONYMOUS, Identity
from jsonrpc_tm.core.records import StatusRule
from jsonrpc_tm.methods import (
    catalog,
    catalog_admin,
    files,
    metaqueries,
    monitoring,
    parameters,
    service,
    tasks,
    transformations,
)
from jsonrpc_tm.rpc.method import Registry
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.settings import load

MODULES = (
    transformations,
    parameters,
    files,
    tasks,
    metaqueries,
    catalog,
    catalog_admin,
    monitoring,
    service,
)
WHO = {
    "admin": Identity("root", "admins", ("ProductionManagement",), "/CN=root"),
    "sharer": Identity("sam", "prod", ("ProductionSharing",), "/CN=sam"),
    "colleague": Identity("sue", "prod", ("ProductionSharing",), "/CN=sue"),
    "user": Identity("uma", "users", ("ProductionUser",), "/CN=uma"),
    "other": Identity("ugo", "users", ("ProductionUser",), "/CN=ugo"),
    "reader": Identity("ron", "readers", (), "/CN=ron"),
    "nobody": ANONYMOUS,
}
NEW = ("short", "long", "Processing", "Standard", "Manual", "")
"""The parameters of addTransformation that have no default, after the name."""


class Counted:
    """A transaction that writes down its statements."""

    def __init__(self, tx: Any, statements: list[str]) -> None:
        self._tx = tx
        self._statements = statements
        self.dialect = tx.dialect

    def __getattr__(self, verb: str) -> Any:
        async def noted(sql: str, *args: Any) -> Any:
            self._statements.append(sql)
            return await getattr(self._tx, verb)(sql, *args)

        return noted


class CountingStorage:
    """A storage whose statements are counted; the one below does the work."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.dialect = storage.dialect
        self.url = storage.url
        self.statements: list[str] = []

    async def __aenter__(self) -> "CountingStorage":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def run(self, name: str, body: Any, *args: Any, read: bool = False, **kwargs: Any) -> Any:
        async def counted(tx: Any) -> Any:
            return await body(Counted(tx, self.statements), *args, **kwargs)

        return await self.storage.run(name, counted, read=read)


class Policy(DefaultPolicy):
    """The default one, with a reading rule that a test may set."""

    allowed: Mapping[str, Any] | None = None

    def readable(self, identity: Identity) -> Mapping[str, Any] | None:
        return self.allowed


class Driver:
    """Calls methods: ``await tm("getTransformation", 1)``, ``who`` says as whom."""

    def __init__(self, storage: Any, catalog: Any = None, rules: Iterable[StatusRule] = ()) -> None:
        self.now = datetime(2024, 10, 15, 12, tzinfo=UTC)
        self.storage = CountingStorage(storage)
        self.policy = Policy()
        registry = Registry((method, module.__name__) for module in MODULES for method in module.register_methods({}))
        self.service = Service(
            settings=load(None, {}, {}, ()),
            registry=registry,
            rules={method.name: method.rule or "authenticated" for method in registry},
            storage=self.storage,  # type: ignore[arg-type]
            policy=self.policy,
            clock=lambda: self.now,
            status_rules=tuple(rules),
        )
        self.service.catalog = catalog or DictCatalog({})

    def later(self, seconds: int = 1) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    async def __call__(self, method: str, *params: Any, who: str | Identity = "admin", **named: Any) -> Any:
        # by way of JSON, as on the wire
        given = orjson.loads(orjson.dumps(named or params))
        identity = who if isinstance(who, Identity) else WHO[who]
        return orjson.loads(orjson.dumps(await self.service.call(method, given, identity)))

    async def refused(self, kind: str, method: str, *params: Any, who: str = "admin", **named: Any) -> dict[str, Any]:
        """Call a method that must fail; return the error's data."""
        with pytest.raises(TMError) as caught:
            await self(method, *params, who=who, **named)
        assert caught.value.type == kind, caught.value.message
        return caught.value.data

    async def add(self, name: str = "t", who: str = "admin", **named: Any) -> int:
        """Create a transformation."""
        names = ("description", "longDescription", "transType", "plugin", "agentType", "fileMask")
        return await self(
            "addTransformation", who=who, **{"transName": name, **dict(zip(names, NEW, strict=True)), **named}
        )

    async def statements(self, method: str, *params: Any, **named: Any) -> int:
        """Call a method and return how many statements it took."""
        self.storage.statements.clear()
        await self(method, *params, **named)
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
