"""A service with methods of the tests' own on a real database, whose transactions can be held up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from jsonrpc_tm.api import hookimpl
from jsonrpc_tm.app import build_service, load_plugins, open_storage
from jsonrpc_tm.catalog.memory import DictCatalog
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.events import Event
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.domain.transitions import transformations
from jsonrpc_tm.domain.work import Work
from jsonrpc_tm.rpc.method import Method, Write
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.settings import load
from jsonrpc_tm.tools.testing.cast import PEOPLE

MEMORY = "sqlite://:memory:"
NAME = {"name": fields.Text(255, required=True)}


async def add(work: Work, name: str) -> str:
    """Register a file."""
    await work.tx.execute(
        "INSERT INTO DataFiles (LFN, Status) VALUES (:name, :status)", {"name": name, "status": "New"}
    )
    work.emit("tests.added", None, name=name)
    return name


async def make(work: Work, name: str) -> int:
    """Make a transformation that belongs to the caller."""
    who = work.context.identity
    values = {"TransformationName": name, "Author": who.username, "AuthorGroup": who.group}
    return (await transformations.create(work, values)).id


ADD = Method("tests.add", add, NAME, access=Write(), rule="all")
MAKE = Method("tests.make", make, NAME, access=Write(), rule="authenticated")


class Gated:
    """A storage whose writing transactions wait where a test wants it; the one below does the work."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.begin, self.finish = asyncio.Event(), asyncio.Event()
        self.asked, self.committed = asyncio.Event(), asyncio.Event()
        self.begin.set()
        self.finish.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def __aenter__(self) -> "Gated":
        await self._storage.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._storage.__aexit__(*exc)

    async def run(self, name: str, body: Any, *args: Any, read: bool = False, **kwargs: Any) -> Any:
        if read:
            return await self._storage.run(name, body, *args, read=True, **kwargs)
        self.asked.set()
        await self.begin.wait()
        result = await self._storage.run(name, body, *args, **kwargs)
        self.committed.set()
        await self.finish.wait()
        return result


class Books:
    """The service, and what its observers and listeners heard."""

    def __init__(
        self,
        url: str,
        methods: Sequence[Method],
        lifetimes: Sequence[Any],
        listener: Any,
        grace: float,
        more: Sequence[Any],
    ) -> None:
        self.records: list[CallRecord] = []
        self.events: list[Event] = []
        self._heard = asyncio.Event()
        books = self

        class Own:
            @hookimpl
            def register_methods(self) -> Any:
                return [ADD, MAKE, *methods]

            @hookimpl
            def register_listener(self) -> Any:
                return [books.events.append, *([] if listener is None else [listener])]

            @hookimpl
            def register_call_observer(self) -> Any:
                return [books.records.append, lambda record: books._heard.set()]

            @hookimpl
            def register_lifetime(self) -> Any:
                return lifetimes

        plugins = load_plugins(extra=[Own(), *more], entry_points=False, shipped=False)
        settings = load(
            None,
            {},
            {"storage.url": url, "storage.migrate": True, "logging.calls": False, "server.shutdown_grace": grace},
            (),
        )
        self.storage = Gated(open_storage(settings, plugins))
        self.service: Service = build_service(
            settings,
            plugins=plugins,
            storage=self.storage,  # type: ignore[arg-type]
            catalog=DictCatalog({}),
            authenticators=(),
        )

    async def call(self, name: str, *params: Any, who: str | Identity = "manager") -> Any:
        identity = who if isinstance(who, Identity) else PEOPLE[who]
        return await self.service.call(self.service.context(identity, "r", "192.0.2.1"), name, params)

    async def recorded(self, number: int) -> None:
        """Wait until *number* calls are recorded."""
        while len(self.records) < number:
            self._heard.clear()
            await self._heard.wait()

    async def fetch(self, sql: str) -> list[Any]:
        """Return the first column of what *sql* finds."""

        async def body(tx: Any) -> Any:
            return [next(iter(row.values())) for row in await tx.fetch_all(sql)]

        return await self.storage.run("test", body, read=True)

    async def files(self) -> list[str]:
        return await self.fetch("SELECT LFN FROM DataFiles ORDER BY LFN")


@contextlib.asynccontextmanager
async def opened(
    url: str,
    *methods: Method,
    lifetimes: Sequence[Any] = (),
    listener: Any = None,
    grace: float = 30,
    plugins: Sequence[Any] = (),
) -> AsyncIterator[Books]:
    """Open a service with *methods* beside ``tests.add`` and ``tests.make``."""
    books = Books(url, methods, lifetimes, listener, grace, plugins)
    async with books.service:
        yield books


def context(books: Books, key: str | None, who: str | Identity = "manager") -> Context:
    """Return the context of a call under *key* by one of the cast, or by somebody else."""
    identity = who if isinstance(who, Identity) else PEOPLE[who]
    return books.service.context(identity, "r", "192.0.2.1", key=key)


async def call(books: Books, key: str | None, name: str, *params: Any, who: str | Identity = "manager") -> Any:
    """Call, and return the result and whether it was given before."""
    asked = context(books, key, who)
    return await books.service.call(asked, name, list(params)), asked.replayed
