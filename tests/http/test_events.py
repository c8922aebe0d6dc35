"""``GET /events``: what readers see, and what they do not (section 8.7 of the specification)."""

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
import pytest

from jsonrpc_tm.client import Client, EventsMissed
from jsonrpc_tm.core.clock import stored
from jsonrpc_tm.core.errors import BadCredentials, InvalidParams
from jsonrpc_tm.domain import event_log
from jsonrpc_tm.http import events
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.rpc import event_tail
from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.testing.cast import PEOPLE
from tests.http.fakes import is_refused
from tests.methods.driver import Driver


class ByHeader:
    """The bearer token is the caller's name; it may be taken back."""

    name = "header"
    ended = False

    async def authenticate(self, credentials: Any) -> Any:
        name = credentials.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.ended:
            raise BadCredentials("it has ended")
        return PEOPLE.get(name)


class Reader:
    """One stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def message(self, comments: bool = False) -> dict[str, str]:
        """Return the fields of the next message."""
        async with asyncio.timeout(20):
            fields: dict[str, str] = {}
            while line := (await self.response.content.readline()).decode():
                if line == "\n":
                    if comments or "data" in fields:
                        return fields
                    fields = {}
                else:
                    name, _, value = line.rstrip("\n").partition(": ")
                    fields[name] = value
            raise EOFError

    async def event(self) -> dict[str, Any]:
        message = await self.message()
        assert set(message) == {"id", "data"}
        event: dict[str, Any] = json.loads(message["data"])
        assert event["revision"] == int(message["id"])
        return event

    async def told(self, number: int) -> list[tuple[int, str]]:
        return [(event["revision"], event["type"]) for event in [await self.event() for _ in range(number)]]


class Site:
    """A server, and a driver of its methods."""

    def __init__(self, tm: Driver, url: str, session: aiohttp.ClientSession, way: ByHeader) -> None:
        self.tm, self.url, self.session, self.way = tm, url, session, way

    @contextlib.asynccontextmanager
    async def read(self, query: str = "", who: str = "manager", **headers: str):
        headers = {name.replace("_", "-"): text for name, text in headers.items()}
        sent = {"Authorization": f"Bearer {who}", **headers}
        async with self.session.get(f"{self.url}{query}", headers=sent) as response:
            yield Reader(response)

    async def status(self, query: str = "", who: str = "manager", status: int = 400, **expected: Any) -> None:
        async with self.read(query, who) as reader:
            assert await is_refused(reader.response, status, **expected)


@contextlib.asynccontextmanager
async def site_with(**settings: Any):
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, settings=settings)
        way = ByHeader()
        tm.service.authenticators = (way,)
        with bind("127.0.0.1", 0) as bound:
            async with tm.service, listening(tm.service, bound) as url, aiohttp.ClientSession() as session:
                yield Site(tm, url.replace("/rpc", "/events"), session, way)


@pytest.fixture
async def site():
    async with site_with(**{"events.heartbeat": 0.2, "server.tls.mode": "off"}) as site:
        yield site


async def test_what_is_committed_is_told_in_order(site):
    await site.tm.add("before")
    async with site.read() as reader:
        response = reader.response
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        await reader.message(comments=True)
        await site.tm.add("p", who="carol")
        assert await reader.event() == {
            "revision": 2,
            "time": "2024-10-15T12:00:00Z",
            "type": "transformation.created",
            "transformation": 2,
            "data": {"name": "p", "kind": "Processing"},
            "author": "carol",
            "request_id": "",
        }
        await site.tm.refused("Conflict", "addTransformation", "p", "", "", "x", "y", "Manual", "")
        await site.tm("addFilesToTransformation", 2, ["/a"])
        await site.tm("addTasks", 2, [{"lfns": ["/a"]}])
        assert await reader.told(3) == [(3, "files.added"), (4, "tasks.created"), (5, "files.status")]


async def test_a_reader_goes_on_where_it_was(site):
    for name in "abcd":
        await site.tm.add(name)
    async with site.read("?since=2") as reader:
        assert await reader.told(2) == [(3, "transformation.created"), (4, "transformation.created")]
        async with site.read("?since=0", Last_Event_ID="3") as other:
            assert (await other.told(1))[0][0] == 4
            await site.tm.add("e")
            assert (await other.told(1))[0][0] == (await reader.told(1))[0][0] == 5


async def test_a_reader_far_behind_gets_everything(site, monkeypatch):
    monkeypatch.setattr(event_tail, "PAGE", 3)
    for name in range(10):
        await site.tm.add(f"t{name}")
    async with site.read("?since=0") as reader:
        assert [revision for revision, _ in await reader.told(10)] == list(range(1, 11))


async def test_filters_by_type_and_transformation(site):
    tm = site.tm
    async with (
        site.read("?type=files.added&type=query.deleted&type=audit.entry") as typed,
        site.read("?transformation=2&transformation=3") as of_two,
    ):
        for name in "abc":
            await tm.add(name)
            await tm("addFilesToTransformation", name, ["/x"])
        await tm("removeFile", ["/x"])
        assert await typed.told(3) == [(2, "files.added"), (4, "files.added"), (6, "files.added")]
        assert [revision for revision, _ in await of_two.told(5)] == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "query",
    [
        "?since=x",
        "?since=-1",
        "?since=1&since=2",
        "?since=9223372036854775808",
        "?since=",
        "?type=files.addded",
        "?type=files",
        "?type=",
        "?transformation=p",
        "?transformation=٣",
        "?nosuch=1",
    ],
)
async def test_bad_values_are_refused(site, query):
    await site.status(query, code=-32602, kind="InvalidParams")


async def test_a_bad_place_in_the_header_is_refused(site):
    async with site.read(Last_Event_ID="new") as reader:
        assert await is_refused(reader.response, 400, -32602, "InvalidParams")


async def test_the_rule_is_asked(site):
    await site.status(who="nobody", status=401, code=-32001, kind="Unauthenticated")
    site.tm.service.rules = {**site.tm.service.rules, "events": ("ProductionManagement",)}
    await site.status(who="carol", status=403, code=-32003, kind="Forbidden")


async def test_what_the_policy_hides_is_hidden(site):
    tm = site.tm
    for name in "ab":
        await tm.add(name)
        await tm("addFilesToTransformation", name, ["/x"])
    tm.policy.allowed = {"TransformationName": "b"}
    async with site.read("?since=0") as reader, site.read("?since=0&transformation=1") as other:
        assert await reader.told(2) == [(3, "transformation.created"), (4, "files.added")]
        await tm("removeFile", ["/x"])
        event = await reader.event()
        assert (event["revision"], event["transformation"]) == (5, None)
        assert event["data"] == {"count": 1, "transformations": {"2": 1}}
        tm.policy.allowed = None
        site_told = (await other.message(comments=True)).keys()
        assert "data" not in site_told


async def test_a_reader_behind_what_is_kept_is_told_once(site):
    tm = site.tm
    for name in "abc":
        await tm.add(name)
    tm.later(100)
    await tm.add("d")
    assert not await event_log.forget(tm.service.storage, stored(tm.service.clock()))
    async with site.read("?since=1") as reader:
        assert await reader.message() == {"event": "resync", "id": "4", "data": '{"revision":4}'}
        await tm.add("e")
        assert (await reader.told(1))[0][0] == 5
    async with site.read("?since=3") as reader:
        assert [revision for revision, _ in await reader.told(2)] == [4, 5]
    async with site.read("?since=99") as reader:
        assert (await reader.message())["event"] == "resync"


async def test_events_may_be_kept_for_longer_than_there_are_years(monkeypatch):
    async with site_with(**{"events.keep": 1e12, "server.tls.mode": "off"}) as site:
        monkeypatch.setattr(event_tail, "FORGET", -1.0)
        await site.tm.service.tail._look()


async def test_heartbeats_tell_the_place(site):
    async with site.read("?type=files.added") as reader:
        await reader.message(comments=True)
        await site.tm.add()
        message = await reader.message(comments=True)
        while "id" not in message:
            message = await reader.message(comments=True)
        assert message == {"": "nothing new", "id": "1"}


async def test_credentials_that_end_end_the_stream(site):
    async with site.read() as reader:
        await reader.message(comments=True)
        site.way.ended = True
        with pytest.raises(EOFError):
            await reader.message()


async def test_rights_that_are_taken_away_end_the_stream_before_the_next_event(site, monkeypatch):
    monkeypatch.setattr(events, "LOOK", 0)
    async with site.read() as reader:
        await reader.message(comments=True)
        site.tm.service.rules = {**site.tm.service.rules, "events": ("Nothing",)}
        await site.tm.add()
        with pytest.raises(EOFError):
            await reader.message()


async def test_a_caller_has_so_many_streams_only():
    async with site_with(**{"limits.event_streams": 1, "server.tls.mode": "off"}) as site, site.read() as reader:
        await reader.message(comments=True)
        await site.status(status=429)
        async with site.read(who="carol") as other:
            assert other.response.status == 200


async def test_a_reader_that_hangs_up_makes_room_at_once():
    async with site_with(**{"limits.event_streams": 1, "server.tls.mode": "off"}) as site:
        async with site.read() as reader:
            await reader.message(comments=True)
        status = 0
        async with asyncio.timeout(10):  # the next heartbeat comes after 15 s
            while status != 200:
                async with site.read() as reader:
                    status = reader.response.status


async def test_a_server_that_stops_ends_streams_at_once():
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        async with site_with(**{"server.shutdown_grace": 60, "server.tls.mode": "off"}) as site:
            headers = {"Authorization": "Bearer manager"}
            reader = Reader(await session.get(site.url, headers=headers))
            await reader.message(comments=True)
        with pytest.raises(EOFError):
            await reader.message()


async def test_the_client_goes_on_over_lost_connections(site):
    tm = site.tm
    url = site.url.replace("/events", "/rpc")
    async with Client(url, token="manager") as client:
        follow = client.events(since=0, types=["transformation.created"])
        seen = []
        for name in "abc":
            await tm.add(name)
            seen.append((await anext(follow))["revision"])
            await tm("addFilesToTransformation", name, ["/x"])
            # as if the network had gone
            for transport in list(site_transports(client)):
                transport.abort()
        assert seen == [1, 3, 5]
        await follow.aclose()
        with pytest.raises(InvalidParams):
            await anext(client.events(types=["nosuch"]))
        with pytest.raises(EventsMissed) as missed:
            await anext(client.events(since=1000))
        assert missed.value.revision == 6


def site_transports(client: Client):
    for handlers in client._session.connector._acquired_per_host.values():  # type: ignore[union-attr]
        for handler in handlers:
            if handler.transport is not None:
                yield handler.transport
