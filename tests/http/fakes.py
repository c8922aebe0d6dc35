"""Services with a few methods and nothing below them."""

import asyncio
import contextlib
import io
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from jsonrpc_tm.api import Method
from jsonrpc_tm.auth.policy import DefaultPolicy
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.clock import utc_now
from jsonrpc_tm.core.context import Context
from jsonrpc_tm.core.errors import InternalError, InvalidParams, MethodNotFound, StorageUnavailable, TMError
from jsonrpc_tm.core.identity import Rule
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.rpc.chain import Outside
from jsonrpc_tm.rpc.method import Registry
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.storage.base import Schema

SETTINGS = {
    "limits.depth": 16,
    "limits.memory": 2**30,
    "limits.disk": 2**32,
    "limits.idle_connections": 500,
    "limits.string_length": 2**20,
    "limits.calls_per_minute": 0,
    "limits.failures_per_minute": 0,
    "limits.anonymous_body": 0,
    "limits.anonymous_batch": 0,
    "limits.anonymous_calls": 0,
    "server.host": "127.0.0.1",
    "server.port": 0,
    "server.socket": None,
    "server.socket_mode": "0660",
    "server.balancers": (),
    "server.forwarded_header": "X-Forwarded-For",
    "server.path": "/rpc",
    "server.origins": [],
    # of the tests' own requests
    "server.hosts": ["x"],
    "server.public_url": None,
    "server.workers": 1,
    "server.event_loop": os.environ.get("TM_LOOP", "asyncio"),
    "server.max_batch": 20,
    "server.max_body": 2**20,
    "server.max_answer": 2**26,
    "server.body_timeout": 20,
    "server.write_timeout": 60,
    "server.keepalive": 75,
    "server.shutdown_grace": 20,
    "server.drain": 0,
    "server.ready_timeout": 5,
    "server.watch_config": 0,
    "server.tls.mode": "off",
    "server.tls.force_off": False,
    "storage.url": "sqlite:///tests.db",
}


class FakeService:
    """Answers as ``Service.call`` does; remembers what it was asked, in order. Looking at its clock takes a second."""

    def __init__(self, **settings: Any) -> None:
        self.settings = {**SETTINGS, **settings}
        self.calls: list[tuple[str, Any]] = []
        self.contexts: list[Context] = []
        self.errors: dict[str, TMError] = {}
        self.now = datetime(2024, 10, 15, 12, tzinfo=UTC)

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    async def call(self, context: Context, name: str, params: Any, outlet: Any = None) -> Any:
        self.calls.append((name, params))
        self.contexts.append(context)
        if name in self.errors:
            raise self.errors[name]
        match name:
            case "subtract":
                left, right = params if isinstance(params, list) else (params["minuend"], params["subtrahend"])
                return left - right
            case "sum":
                return sum(params)
            case "get_data":
                return ["hello", 5]
            case "echo":
                return params[0] if isinstance(params, list) else params
            case "update" | "notify_hello" | "notify_sum":
                return None
            case "refuse":
                raise InvalidParams("no", errors={"x": ["Unknown field."]})
            case "lost":
                raise StorageUnavailable("The database is gone", outcome="unknown")
            case "broken":
                raise InternalError("Internal error")
            case "bug":
                raise ValueError("mysql://root:secret@db")
            case "typed":
                return {1: datetime(2026, 11, 23, 12, 0, 0, 5, UTC), None: (1, 2), "naive": datetime(2026, 1, 2)}
            case "unserialisable":
                return object()
        raise MethodNotFound(f"No method {name!r}")


class Nothing:
    """A storage and a catalog that hold nothing; ``down`` makes the database unavailable."""

    down = False
    trouble: str | None = None

    async def __aenter__(self) -> "Nothing":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def ready(self) -> None:
        if self.down:
            raise StorageUnavailable("mysql://root:secret@db is gone")

    async def schema(self) -> Schema:
        return Schema({}, {}, (), (), ())

    async def fields(self) -> dict[str, Any]:
        return {}


class Gate:
    """A method that waits until it is let through."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.finished = asyncio.Event()

    async def wait(self, outside: Outside) -> str:
        """Wait at the gate."""
        self.entered.set()
        await self.open.wait()
        self.finished.set()
        return "through"


async def _echo(outside: Outside, data: Any) -> Any:
    """Return what is given."""
    return data


async def _who(outside: Outside) -> Any:
    """Return the caller's name."""
    return outside.context.identity.username


async def _bug(outside: Outside) -> Any:
    """Fail."""
    raise ValueError("mysql://root:secret@db")


def make_service(
    *methods: Method,
    rules: Mapping[str, Rule] = {},
    authenticators: Sequence[Any] = (),
    observers: Sequence[Any] = (),
    lifetimes: Sequence[Any] = (),
    routes: Sequence[Any] = (),
    **settings: Any,
) -> Service:
    """Return a service with ``echo``, ``who``, ``bug`` and *methods*, all open to everybody.

    :param rules: of those that are not.
    :param routes: each comes from the plugin ``tests``.
    """
    all_methods = [
        Method("echo", _echo, {"data": fields.Any_(required=True)}, rule="all"),
        Method("who", _who, rule="all"),
        Method("bug", _bug, rule="all"),
        *methods,
    ]
    nothing: Any = Nothing()
    return Service(
        settings={**SETTINGS, **settings},  # type: ignore[arg-type]
        registry=Registry((method, "tests") for method in all_methods),
        rules={method.name: rules.get(method.name, "all") for method in all_methods},
        storage=nothing,
        catalog=nothing,
        policy=DefaultPolicy(),
        users=ConfiguredUsers({}, {}, {}),
        clock=utc_now,
        authenticators=tuple(authenticators),
        observers=tuple(observers),
        lifetimes=tuple(lifetimes),
        routes=tuple((route, "tests") for route in routes),
    )


class Wire:
    """A server on a real socket, and an HTTP client that hides nothing."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.base = url.rsplit("/", 1)[0]
        self.session = session
        self.port = int(self.base.rsplit(":", 1)[1])

    async def post(self, body: Any, **headers: str) -> aiohttp.ClientResponse:
        """Send *body*, as it is or as JSON; a header's ``_`` stands for ``-``."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Accept-Encoding": "identity"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        # aiohttp's client wants large bodies as files
        response = await self.session.post(self.url, data=io.BytesIO(raw), headers={k: v for k, v in sent.items() if v})
        await response.read()
        return response

    async def call(self, method: str, *params: Any) -> Any:
        """Make a call and return its result."""
        response = await self.post({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
        return (await response.json())["result"]


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Wire]:
    """Serve *service* on any port."""
    settings = service.settings
    with bind(settings["server.host"], settings["server.port"]) as bound:
        async with service, listening(service, bound) as url, aiohttp.ClientSession(auto_decompress=False) as session:
            yield Wire(url, session)


ECHO = {"jsonrpc": "2.0", "method": "echo", "params": ["hello"], "id": 1}
ANSWER = {"jsonrpc": "2.0", "result": "hello", "id": 1}
HEAD = b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def is_refused(response: Any, status: int, code: int = -32600, kind: str = "InvalidRequest") -> bool:
    assert response.status == status
    assert response.content_type == "application/json"
    body = json.loads(await response.read())
    assert set(body) == {"jsonrpc", "error", "id"}
    assert body["id"] is None
    assert (body["error"]["code"], body["error"]["data"]["type"]) == (code, kind)
    assert body["error"]["data"]["request_id"] == response.headers["X-Request-ID"]
    return True


async def raw(wire: Wire, *parts: bytes) -> bytes:
    """Send *parts* and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer
