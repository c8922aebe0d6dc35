"""Who is calling: other tokens, keys that cannot be had, callers without a name (REPORTS A15, attacks 3 and 16)."""

from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web

from jsonrpc_tm.auth.jwks import KeySet
from jsonrpc_tm.auth.jwt import PRESETS, TYPES, Issuer, Tokens, _type
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.core.errors import ConfigurationError, StorageUnavailable, Unavailable
from jsonrpc_tm.core.identity import Credentials, Identity
from jsonrpc_tm.core.records import CallRecord
from tests.auth import jwts
from tests.auth.conftest import REGISTRY, Site, site
from tests.http.fakes import ECHO, is_refused, make_service, serving

__all__ = ["site"]
USERS = ConfiguredUsers(*(REGISTRY[f"registry.{kind}"] for kind in ("users", "groups", "hosts")))


class KeyServer:
    """An issuer's key server, which can be down."""

    down = False
    url = ""

    async def keys(self, request: web.Request) -> web.Response:
        return web.Response(status=500) if self.down else web.Response(text=jwts.key_set("ES256"))


@pytest.fixture
async def key_server() -> AsyncIterator[KeyServer]:
    server = KeyServer()
    app = web.Application()
    app.router.add_get("/jwks", server.keys)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield server
    await runner.cleanup()


def _issuer(keys: KeySet) -> Issuer:
    types = frozenset(map(_type, TYPES))
    return Issuer(jwts.ISSUER, frozenset([jwts.AUDIENCE]), frozenset(["ES256"]), types, PRESETS["registry"], keys)


async def test_a15_keys_that_cannot_be_had_are_nobodys_failure(key_server: KeyServer) -> None:
    records: list[CallRecord] = []
    tokens = Tokens(USERS, {jwts.ISSUER: _issuer(KeySet(key_server.url, min_interval=0))})
    limits = {"limits.failures_per_minute": 3}
    async with serving(make_service(authenticators=[tokens], observers=[records.append], **limits)) as wire:
        who = {**ECHO, "method": "who", "params": []}
        good = f"Bearer {jwts.token()}"
        key_server.down = True
        for _ in range(5):
            refused = await wire.post(who, Authorization=good)
            assert await is_refused(refused, 503, -32051, "Unavailable")
            assert (await refused.json())["error"]["data"]["retryable"] is True
            assert int(refused.headers["Retry-After"]) > 0
        assert {record.outcome for record in records} == {"Unavailable"}
        key_server.down = False
        assert (await (await wire.post(who, Authorization=good)).json())["result"] == "alice"
        # with the keys there, a wrong signature is its sender's failure again
        forged = f"Bearer {jwts.token(key=jwts.OTHER['ES256'])}"
        assert [(await wire.post(who, Authorization=forged)).status for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("trouble", [Unavailable("The directory is down"), StorageUnavailable("The database is down")])
async def test_a15_so_is_a_directory_or_database_behind_an_authenticator(trouble: Exception) -> None:
    class Directory:
        name = "directory"

        async def authenticate(self, credentials: Credentials) -> Identity | None:
            raise trouble

    async with serving(make_service(authenticators=[Directory()], **{"limits.failures_per_minute": 1})) as wire:
        for _ in range(3):
            refused = await wire.post(ECHO)
            assert await is_refused(refused, 503, trouble.code, trouble.type)  # type: ignore[attr-defined]
            assert "Retry-After" in refused.headers


def _typed(typ: Any) -> str:
    """Return a good token whose header says *typ*; None for a header without."""
    headers = {"kid": jwts.tokens.public_jwk(jwts.KEYS["ES256"], "ES256")["kid"], "typ": typ}
    return jwt.encode(jwts.claims(), jwts.KEYS["ES256"], "ES256", headers=headers)


ACCEPTED = [None, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/JWT"]
OTHERS = [
    "id+jwt",
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "at",
    "text/at+jwt",
    "application/application/jwt",
    "JWT ",
]


async def test_attack_16_tokens_of_another_type_do_not_count(site: Site) -> None:
    (site.folder / "jwks.json").write_text(jwts.key_set("ES256"))
    async with jwts.serve(site) as server:
        for typ in ACCEPTED:
            found = await jwts.ask(site, server, _typed(typ))
            assert (typ, found.status) == (typ, 200)
        for typ in OTHERS:
            found = await jwts.ask(site, server, _typed(typ))
            assert (typ, found.status, found.message) == (typ, 401, "The token's type is not accepted")


async def test_attack_16_the_configuration_names_the_types(site: Site) -> None:
    (site.folder / "jwks.json").write_text(jwts.key_set("ES256"))
    async with jwts.serve(site, types=["at+jwt", "application/vo+jwt"]) as server:
        found = {typ: (await jwts.ask(site, server, _typed(typ))).status for typ in (None, "JWT", "at+jwt", "VO+jwt")}
        assert found == {None: 401, "JWT": 401, "at+jwt": 200, "VO+jwt": 200}
    with pytest.raises(ConfigurationError, match="types must not be empty"):
        async with jwts.serve(site, types=[]):
            pass


def test_attack_16_a_type_that_is_no_text_is_none_that_counts() -> None:
    for odd in (None, 1, ["JWT"], {}):
        assert _type(odd) not in set(map(_type, TYPES))
