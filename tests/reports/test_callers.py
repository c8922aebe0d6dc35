"""Who is calling: other tokens, keys that cannot be had, callers without a name (REPORTS A15, attacks 3 and 16)."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.auth.jwks import KeySet
from jsonrpc_tm.auth.jwt import PRESETS, TYPES, Issuer, Tokens, _type
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.core.errors import ConfigurationError, StorageUnavailable, Unavailable
from jsonrpc_tm.core.identity import ANONYMOUS, Credentials, Identity
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.http.limits import Buckets, RateLimits, TooMany
from jsonrpc_tm.rpc.dispatch import Dispatcher
from jsonrpc_tm.settings import load
from tests.auth import jwts
from tests.auth.conftest import REGISTRY, Site, site
from tests.dirac import conftest as dirac
from tests.http.fakes import ANSWER, ECHO, HEAD, SETTINGS, Wire, is_refused, make_service, raw, serving

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
    with pytest.raises(ConfigurationError, match="types: Must not be empty"):
        async with jwts.serve(site, types=[]):
            pass


def test_attack_16_a_type_that_is_no_text_is_none_that_counts() -> None:
    for odd in (None, 1, ["JWT"], {}):
        assert _type(odd) not in set(map(_type, TYPES))


class Named:
    """Believes the header Name, for tests."""

    name = "named"

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        name = credentials.headers.get("Name")
        return None if name is None else Identity(dn=f"/CN={name}", reason="not in the registry")


@contextlib.asynccontextmanager
async def _limited(**limits: int) -> AsyncIterator[Wire]:
    settings = load(None, {}, {}, ())
    defaults = {name: settings[name] for name in settings if name.startswith("limits.anonymous")}
    assert set(defaults.values()) == {64 * 1024, 10, 600}
    given = {f"limits.anonymous_{name}": value for name, value in limits.items()}
    async with serving(make_service(authenticators=[Named()], **(defaults | given))) as wire:
        yield wire


def _padded(length: int) -> bytes:
    return json.dumps(ECHO).encode().ljust(length)


async def test_attack_3_bodies_without_credentials() -> None:
    async with _limited() as wire:
        fits, long = _padded(64 * 1024), _padded(64 * 1024 + 1)
        assert await (await wire.post(fits)).json() == ANSWER
        refused = await wire.post(long)
        assert await is_refused(refused, 413)
        assert "65536 bytes" in (await refused.json())["error"]["message"]
        in_chunks = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        assert b" 200 " in (await raw(wire, HEAD + in_chunks % (len(fits), fits))).split(b"\r\n")[0]
        assert b" 413 " in (await raw(wire, HEAD + in_chunks % (len(long), long))).split(b"\r\n")[0]
        # a certificate that the registry does not know is one
        assert await (await wire.post(long, Name="x")).json() == ANSWER


async def test_attack_3_compressed_bodies_without_credentials() -> None:
    bomb = gzip.compress(b'{"a":[' + b"1," * 2**24 + b"1234567890123456789]}", 1)
    async with _limited() as wire:
        refused = await wire.post(bomb, Content_Encoding="gzip")
        assert await is_refused(refused, 415)
        assert refused.headers["Accept-Encoding"] == "identity"
        small = gzip.compress(json.dumps(ECHO).encode())
        assert await is_refused(await wire.post(small, Content_Encoding="gzip"), 415)
        assert await (await wire.post(small, Content_Encoding="gzip", Name="x")).json() == ANSWER
    async with _limited(body=0) as wire:
        assert await (await wire.post(small, Content_Encoding="gzip")).json() == ANSWER
        assert await (await wire.post(_padded(70_000))).json() == ANSWER


async def test_attack_3_batches_without_credentials() -> None:
    async with _limited() as wire:
        assert len(await (await wire.post([ECHO] * 10)).json()) == 10
        refused = await wire.post([ECHO] * 11)
        assert await is_refused(refused, 200)
        message = (await refused.json())["error"]["message"]
        assert message == "Invalid request: the batch has 11 entries, at most 10 without credentials"
        assert len(await (await wire.post([ECHO] * 20, Name="x")).json()) == 20
    async with _limited(batch=0) as wire:
        assert len(await (await wire.post([ECHO] * 20)).json()) == 20
        assert await is_refused(await wire.post([ECHO] * 21), 200)


async def test_attack_3_calls_without_credentials() -> None:
    async with _limited(calls=12) as wire:
        assert (await wire.post([ECHO] * 10)).status == 200
        assert [(await wire.post(ECHO)).status for _ in range(4)] == [200, 200, 429, 429]
        refused = await wire.post([ECHO])
        assert await is_refused(refused, 429)
        assert int(refused.headers["Retry-After"]) > 0
        assert (await wire.post(ECHO, Name="x")).status == 200
        for path in ("/health/live", "/health/ready"):
            async with wire.session.get(wire.base + path) as answer:
                assert answer.status == 200
    async with _limited(calls=0) as wire:
        assert {(await wire.post([ECHO] * 10)).status for _ in range(20)} == {200}


async def test_attack_4_requests_that_are_refused_whole_are_limited_and_fill_no_audit_log() -> None:
    records: list[CallRecord] = []
    tokens = Tokens(USERS, {})
    limits: Any = {"limits.anonymous_calls": 3}
    refused: Any = {"Authorization": "Bearer x"}, {"Origin": "https://evil.example"}
    for status, headers in zip((401, 403), refused, strict=True):
        records.clear()
        async with serving(make_service(authenticators=[tokens], observers=[records.append], **limits)) as wire:
            statuses = [(await wire.post(ECHO, **headers)).status for _ in range(8)]
            assert statuses == [status] * 3 + [429] * 5
            assert len(records) == 4


def test_attack_4_a_refusal_is_new_when_something_was_admitted_since() -> None:
    now = 0.0
    buckets = Buckets(60, "", lambda: now)
    found: list[bool] = []

    def refused() -> None:
        with pytest.raises(TooMany) as caught:
            buckets.check("x")
        found.append(caught.value.again)

    buckets.take("x", 60)
    refused()
    refused()
    now += 1
    buckets.check("x")
    buckets.take("x")
    refused()
    assert found == [False, True, False]


def test_attack_3_an_address_of_ipv6_is_one_of_many() -> None:
    limits = RateLimits(SETTINGS | {"limits.anonymous_calls": 1, "limits.failures_per_minute": 1})
    limits.calls(ANONYMOUS, "2001:db8::1")
    limits.failed("2001:db8::1")
    for same in ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1"):
        with pytest.raises(TooMany):
            limits.calls(ANONYMOUS, same)
        with pytest.raises(TooMany):
            limits.arrived(same)
    for other in ("2001:db8:0:1::1", "10.0.0.1", None):
        limits.calls(ANONYMOUS, other)
        limits.arrived(other)


async def test_attack_3_forms_on_diracs_wire_are_bounded_too(tmp_path: Path) -> None:
    async with dirac.serving(tmp_path / "tls") as (url, folder, service):
        client = dirac.Dirac(url, devcerts.Folder(folder).ca, tmp_path, service)
        form = {"method": "ping", "args": "x" * 70_000}
        assert (await client.post(None, form)).status == 413
        packed = gzip.compress(b"method=ping")
        reply = await client.post(
            None, packed, Content_Encoding="gzip", Content_Type="application/x-www-form-urlencoded"
        )
        assert reply.status == 415


async def test_attack_3_long_bodies_are_parsed_aside() -> None:
    service: Any = make_service()
    entry = json.dumps({**ECHO, "params": [["/vo/some/file"] * 100_000]}).encode()
    answer = asyncio.create_task(Dispatcher(service).handle(entry, service.context()))
    # on the loop it would be done the first time that others may run
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not answer.done()
    assert b'"result"' in (await answer or b"")
