"""The registry of the configuration, and who may act in which group."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import CIMultiDict

from jsonrpc_tm import app
from jsonrpc_tm.api import hookimpl
from jsonrpc_tm.auth import identify, users
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.core.errors import BadCredentials, ConfigurationError
from jsonrpc_tm.core.identity import ANONYMOUS, Credentials, Identity
from jsonrpc_tm.settings import Settings

GROUPS = {"g": {"properties": ["P", "Q"]}, "h": {"properties": []}}


def registry(**entries: Any) -> ConfiguredUsers:
    return ConfiguredUsers(entries, GROUPS, {})


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"alice": {"groups": ["x"]}}, r"registry\.users\.alice\.groups\[0\]: there is no group 'x' \(groups: g, h\)"),
        ({"alice": {"groups": ["hosts"]}}, "there is no group 'hosts'"),
        ({"alice": {"dns": ["/CN=a"]}, "bob": {"dns": ["/cn=a"]}}, "'/CN=a' is there already, for alice"),
        ({"alice": {"subjects": ["a"]}, "bob": {"subjects": ["a"]}}, "is there already, for alice"),
        ({"alice": {"dns": ["CN=a,O=b"]}}, r"registry\.users\.alice\.dns\[0\]: .*slash form"),
    ],
)
def test_wrong_users_stop_the_start(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        registry(**entries)


@pytest.mark.parametrize(
    ("groups", "hosts", "message"),
    [
        ({"hosts": {}}, {}, "cannot be defined"),
        (GROUPS, {"alice": {"dns": ["/CN=h"]}}, "there is a user of this name"),
        (GROUPS, {"h": {"dns": ["/CN=alice"]}}, "is there already, for alice"),
    ],
)
def test_wrong_groups_and_hosts_stop_the_start(groups: Any, hosts: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ConfiguredUsers({"alice": {"dns": ["/CN=alice"], "groups": []}}, groups, hosts)


def test_development_registry_is_for_development_only() -> None:
    assert "admin" in users.entries(Settings.defaults())["users"]
    for changed in (
        {"server__tls__mode": "off"},
        {"server__tls__mode": "files"},
        {"registry__users": {"x": {}}},
        {"registry__hosts": {"x": {}}},
    ):
        assert "admin" not in users.entries(Settings.defaults(**changed))["users"]


def test_development_registry_is_sound() -> None:
    ConfiguredUsers(**users.entries(Settings.defaults()))


# whoever made the authenticators


class Fixed:
    """An authenticator that always says the same."""

    name = "fixed"

    def __init__(self, answer: Identity | BaseException | None) -> None:
        self.answer = answer
        self.asked = 0

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


async def _identify(*authenticators: Fixed, **headers: str) -> Identity:
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return await identify(authenticators, Credentials(fields, "127.0.0.1", None, datetime.now(UTC)))


ALICE = Identity("alice", "g", ("P",))


async def test_first_that_finds_credentials_decides() -> None:
    last = Fixed(Identity("bob", "h"))
    assert await _identify(Fixed(None), Fixed(ALICE), last) == ALICE
    assert last.asked == 0


async def test_bad_credentials_end_the_search() -> None:
    last = Fixed(ALICE)
    with pytest.raises(BadCredentials):
        await _identify(Fixed(BadCredentials("no")), last)
    assert last.asked == 0


async def test_an_authenticator_that_would_end_the_server_fails_only() -> None:
    with pytest.raises(RuntimeError, match="SystemExit"):
        await _identify(Fixed(SystemExit(1)))


async def test_nobody() -> None:
    assert await _identify(Fixed(None)) is ANONYMOUS
    assert await _identify() is ANONYMOUS
    assert await _identify(x_tm_group="g") is ANONYMOUS


async def test_authenticators_need_not_know_of_claimed_groups() -> None:
    assert await _identify(Fixed(ALICE), x_tm_group="g") == ALICE
    assert await _identify(Fixed(ALICE), x_tm_group="") == ALICE
    refused = await _identify(Fixed(ALICE), x_tm_group="h")
    assert (refused.refused is not None, refused.group, refused.properties) == (True, None, ())


@pytest.mark.parametrize("part", ["username", "group"])
async def test_names_that_no_column_takes(part: str) -> None:
    fits = dataclasses.replace(ALICE, **{part: "x" * 255})  # type: ignore[arg-type]
    assert await _identify(Fixed(fits)) == fits
    turned_away = await _identify(Fixed(dataclasses.replace(ALICE, **{part: "x" * 256})))  # type: ignore[arg-type]
    assert not turned_away.authenticated
    assert "longer than 255 characters" in str(turned_away.reason)


class Directory:
    """A registry from elsewhere."""

    def by_dn(self, dn: str) -> users.User | None:
        return users.User("somebody", ("everybody",)) if dn == "/CN=x" else None

    def by_subject(self, issuer: str, subject: str) -> users.User | None:
        return None

    def by_name(self, name: str) -> users.User | None:
        return None

    def properties(self, group: str) -> tuple[str, ...]:
        return ("ProductionUser",)


class Plugin:
    @hookimpl
    def register_users(self, settings: Any) -> Any:
        yield Directory()


def test_registry_of_a_plugin() -> None:
    overrides = {"storage.url": "sqlite://:memory:"}
    service = app.create_service(None, {}, overrides, plugins=[Plugin()])
    assert isinstance(service.users, Directory)
    who = users.admit(
        service.users,
        service.users.by_dn("/CN=x"),
        who="/CN=x",
        claimed=None,
        proven=None,
        authentication="x509",
        expires=datetime.now(UTC),
    )
    assert (who.username, who.group, who.properties) == ("somebody", "everybody", ("ProductionUser",))
