"""The fixtures that other projects take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from jsonrpc_tm.api import Method, Setting, hookimpl
from jsonrpc_tm.core.errors import BadCredentials, Forbidden, Unauthenticated
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.tools.harness import Harness, ManualClock
from jsonrpc_tm.tools.testing.local import LocalClient
from jsonrpc_tm.tools.testing.plugin import RunningServer

ADD = ("t", "d", "l", "Processing", "P", "Manual", "")
FILES = {"fields": {"run": "int"}, "directories": {"/": {}}, "files": {"/f1": {"run": 1}, "/f2": {"run": 2}}}


async def test_a_service_in_this_process(tm_client: Callable[[str], LocalClient]) -> None:
    manager = tm_client("manager")
    assert await manager.call("addTransformation", *ADD) == 1
    with pytest.raises(Forbidden):
        await tm_client("alice").call("deleteTransformation", 1)
    with pytest.raises(Unauthenticated):
        await tm_client("nobody").call("getTransformations")


async def test_the_clock_is_set_by_the_test(tm_client: Callable[[str], LocalClient], tm_clock: ManualClock) -> None:
    alice = tm_client("alice")
    assert (await alice.call("ping"))["time"] == "2024-10-15T12:00:00Z"
    tm_clock.set("2031-01-01T00:00:00Z")
    assert (await alice.call("ping"))["time"] == "2031-01-01T00:00:00Z"


async def test_the_callers_have_their_rights(tm_client: Callable[[str], LocalClient]) -> None:
    await tm_client("alice").call("addTransformation", *ADD)
    await tm_client("bob").call("setTransformationParameter", "t", "own", 1)
    with pytest.raises(Forbidden):
        await tm_client("carol").call("setTransformationParameter", "t", "own", 2)
    with pytest.raises(Forbidden):
        await tm_client("visitor").call("addTransformation", "u", *ADD[1:])


@pytest.mark.parametrize("name", ["manager", "alice", "bob", "carol", "visitor"])
async def test_a_server_knows_the_callers_by_certificate(
    tm_server: RunningServer, tm_client: Callable[[str], LocalClient], name: str
) -> None:
    async with tm_server.client(name) as client:
        seen = await client.call("whoami")
    local = await tm_client(name).call("whoami")
    assert seen["secondsLeft"] > 0
    assert {**seen, "secondsLeft": None} == {**local, "secondsLeft": None}


async def test_a_server_lets_nobody_in(tm_server: RunningServer, tm_client: Callable[[str], LocalClient]) -> None:
    async with tm_server.client("nobody") as client:
        assert (await client.call("ping"))["name"] == "TransformationManager"
        with pytest.raises(Unauthenticated) as caught:
            await client.call("whoami")
        assert not isinstance(caught.value, BadCredentials)
    async with tm_server.client("manager") as manager:
        await manager.call("addTransformation", *ADD)
    # the same service
    assert [row["TransformationName"] for row in await tm_client("alice").call("getTransformations")] == ["t"]


class TestOverridden:
    """A test suite sets up the service by overriding fixtures."""

    @pytest.fixture
    def tm_settings(self) -> Mapping[str, Any]:
        return {"transformations.extendable_types": ["Own"], "hello.word": "moin"}

    @pytest.fixture
    def tm_catalog(self) -> Mapping[str, Any]:
        return FILES

    @pytest.fixture
    def tm_plugins(self) -> Sequence[Any]:
        return [Hello()]

    @pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
    def tm_storage_url(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue("mysql_url")) if request.param == "mariadb" else "sqlite://:memory:"

    async def test_settings_catalog_and_plugins_are_the_suites_own(
        self, tm_client: Callable[[str], LocalClient], tm_service: Service, tm_harness: Harness
    ) -> None:
        carol = tm_client("carol")
        query = {"run": {">": 1}}
        named = dict(zip(("transName", "description", "longDescription"), ADD, strict=False))
        more = {"transType": "own", "plugin": "P", "agentType": "Manual", "fileMask": "", "inputMetaQuery": query}
        await carol.call("addTransformation", **named, **more)
        assert [row["LFN"] for row in await carol.call("getTransformationFiles")] == ["/f2"]
        assert await carol.call("extendTransformation", "t", 2) == [1, 2]
        assert await carol.call("hello.say") == "moin"
        await tm_harness.reset("2024-10-15", None)
        assert await carol.call("getTransformations") == []
        assert tm_service is tm_harness.service


async def say(outside: Any) -> str:
    """Say hello."""
    return str(outside.settings["hello.word"])


class Hello:
    @hookimpl
    def register_settings(self) -> Sequence[Setting]:
        return [Setting("hello.word", "text", "hello", "What is said.")]

    @hookimpl
    def register_methods(self) -> Sequence[Method]:
        return [Method("hello.say", say)]
