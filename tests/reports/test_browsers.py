"""Browsers: what pages of other sites may make them send (REPORTS A10, attack finding 5; specification 8.9)."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.records import CallRecord, Route
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.http.tls import server_context
from jsonrpc_tm.settings import load
from tests.auth import pki
from tests.dirac import conftest as dirac
from tests.http.fakes import ANSWER, ECHO, Wire, is_refused, make_service, raw, serving

LISTED, OWN, FOREIGN = "https://pages.example.org", "own", "https://evil.example.org"


async def _page(request: Any) -> Any:
    from aiohttp import web

    return web.Response(text="a page", content_type="text/html")


@pytest.fixture
async def records() -> list[CallRecord]:
    return []


@pytest.fixture
async def wire(records: list[CallRecord]) -> AsyncIterator[Wire]:
    service = make_service(
        observers=[records.append],
        routes=[Route("GET", "/page", _page), Route("POST", "/form", _page)],
        **{"server.origins": [LISTED]},
    )
    async with serving(service) as wire:
        yield wire


OPENS = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
# method, path, Origin, Sec-Fetch-Site, other headers, status
TABLE: list[tuple[str, str, str | None, str | None, dict[str, str], int]] = [
    # no browser, and old ones
    ("POST", "/rpc", None, None, {}, 200),
    ("POST", "/rpc", FOREIGN, None, {}, 403),
    ("POST", "/rpc", "null", None, {}, 403),
    ("POST", "/rpc", "", None, {}, 403),
    ("POST", "/rpc", OWN, None, {}, 200),
    ("POST", "/rpc", LISTED, None, {}, 200),
    ("POST", "/rpc", LISTED + ":8443", None, {}, 403),
    ("POST", "/rpc", LISTED.replace("https", "http"), None, {}, 403),
    ("POST", "/rpc", LISTED + ".evil.org", None, {}, 403),
    # pages of this server, and typed addresses
    ("POST", "/rpc", OWN, "same-origin", {}, 200),
    ("GET", "/page", None, "same-origin", {}, 200),
    ("GET", "/page", None, "none", OPENS, 200),
    # pages elsewhere
    ("POST", "/rpc", FOREIGN, "cross-site", {}, 403),
    ("POST", "/rpc", "null", "cross-site", {}, 403),
    ("POST", "/rpc", None, "cross-site", {}, 403),
    ("POST", "/rpc", None, "same-site", {}, 403),
    ("POST", "/rpc", None, "something-new", {}, 403),
    ("POST", "/rpc", OWN, "cross-site", {}, 403),
    ("POST", "/rpc", LISTED, "cross-site", {}, 200),
    ("POST", "/rpc", LISTED, "same-site", {}, 200),
    ("POST", "/form", FOREIGN, "cross-site", {"Content-Type": "application/x-www-form-urlencoded", **OPENS}, 403),
    ("POST", "/form", None, "cross-site", {"Content-Type": "application/x-www-form-urlencoded", **OPENS}, 403),
    # following a link is fine, pictures, scripts and frames are not
    ("GET", "/page", None, "cross-site", OPENS, 200),
    ("GET", "/page", None, "same-site", OPENS, 200),
    ("GET", "/page", FOREIGN, "cross-site", OPENS, 403),
    ("GET", "/page", None, "cross-site", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
    ("GET", "/page", None, "cross-site", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
    ("GET", "/page", None, "cross-site", {}, 403),
    ("GET", "/health/live", FOREIGN, None, {}, 403),
    ("GET", "/nothing", FOREIGN, None, {}, 403),
    ("OPTIONS", "/rpc", FOREIGN, "cross-site", {"Access-Control-Request-Method": "POST"}, 403),
    ("OPTIONS", "/rpc", LISTED, "cross-site", {"Access-Control-Request-Method": "POST"}, 204),
    ("OPTIONS", "/rpc", LISTED, None, {}, 405),
    ("OPTIONS", "/rpc", OWN, None, {"Access-Control-Request-Method": "POST"}, 405),
]


async def test_attack_5_which_pages_may_call(wire: Wire) -> None:
    for case in TABLE:
        method, path, origin, site, more, status = case
        headers = {"Content-Type": "application/json", **more}
        if origin is not None:
            headers["Origin"] = wire.base if origin == OWN else origin
        if site is not None:
            headers["Sec-Fetch-Site"] = site
        body = None if method == "GET" else b'{"jsonrpc":"2.0","method":"echo","params":["hello"],"id":1}'
        async with wire.session.request(method, wire.base + path, data=body, headers=headers) as answer:
            assert (answer.status, case) == (status, case)
            if status == 403:
                assert await is_refused(answer, 403, -32003, "Forbidden")
            assert (answer.headers.get("Access-Control-Allow-Origin") == LISTED) is (origin == LISTED)


async def test_attack_5_the_audit_hears_of_it(wire: Wire, records: list[CallRecord]) -> None:
    await wire.post(ECHO, Origin=FOREIGN)
    assert [(record.method, record.outcome, record.address) for record in records] == [("", "Forbidden", "127.0.0.1")]
    assert FOREIGN in records[0].reason


async def test_attack_5_two_origins_are_no_listed_one(wire: Wire) -> None:
    for first, second in ((LISTED, FOREIGN), (FOREIGN, LISTED)):
        head = f"POST /rpc HTTP/1.0\r\nOrigin: {first}\r\nOrigin: {second}\r\nContent-Length: 0\r\n\r\n"
        assert (await raw(wire, head.encode())).startswith(b"HTTP/1.0 403 ")


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:1", True),
        ("localhost", True),
        ("LOCALHOST:8443", True),
        ("[::1]:8443", True),
        ("[::ffff:127.0.0.1]", True),
        ("tm.example.org:8443", True),
        ("TM.example.org", True),
        (None, True),
        ("evil.example.org", False),
        ("evil.example.org:8443", False),
        ("localhost.evil.example.org", False),
        ("127.0.0.1.evil.example.org", False),
        ("127.0.0.1@evil.example.org", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
async def test_attack_5_names_of_a_server_on_loopback(sent: str | None, accepted: bool) -> None:
    async with serving(make_service(**{"server.hosts": ["tm.example.org"]})) as wire:
        line = "" if sent is None else f"Host: {sent}\r\n"
        answer = await raw(wire, f"GET /health/live HTTP/1.0\r\n{line}\r\n".encode())
        assert answer.startswith(b"HTTP/1.0 200 " if accepted else b"HTTP/1.0 403 ")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("tm.example.org", 200),
        ("TM.Example.org:8443", 200),
        ("any.lab.example.org", 200),
        ("lab.example.org", 403),
        ("a.b.lab.example.org", 403),
        ("evil.example.org", 403),
    ],
)
async def test_attack_5_names_in_the_certificate_are_the_servers(
    certified: tuple[str, ssl.SSLContext], asked: str, status: int
) -> None:
    url, trusting = certified
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/health/live", headers={"Host": asked}, ssl=trusting) as answer,
    ):
        assert answer.status == status


@pytest.fixture
async def certified(tmp_path: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """A server on loopback, with a certificate for other names too."""
    ca, trusting = trustme.CA(), ssl.create_default_context()
    ca.configure_trust(trusting)
    issued = ca.issue_cert("127.0.0.1", "tm.example.org", "*.lab.example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    files = {"server.tls.mode": "files", "server.tls.certificate": str(tmp_path / "server.pem")}
    context = server_context(load(None, {}, files, ()))
    service = make_service()
    with bind("127.0.0.1", 0) as bound:
        async with service, listening(service, bound, context) as url:
            yield url.removesuffix("/rpc").replace("http:", "https:"), trusting


async def test_attack_5_other_servers_have_any_name() -> None:
    everywhere = {"server.host": "0.0.0.0", "server.tls.force_off": True, "server.hosts": []}
    async with serving(make_service(**everywhere)) as wire:
        answer = await raw(wire, b"GET /health/live HTTP/1.0\r\nHost: tm.example.org\r\n\r\n")
        assert answer.startswith(b"HTTP/1.0 200 ")


async def test_a10_pages_of_listed_origins_call_from_a_browser(wire: Wire) -> None:
    asking = {
        "Origin": LISTED,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-tm-group",
    }
    async with wire.session.options(wire.url, headers=asking) as allowed:
        assert allowed.status == 204
        assert allowed.headers["Access-Control-Allow-Methods"] == "POST"
        assert allowed.headers["Access-Control-Allow-Headers"] == "content-type,x-tm-group"
        assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
        assert allowed.headers["Vary"] == "Origin"
    answer = await wire.post(ECHO, Origin=LISTED)
    assert await answer.json() == ANSWER
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED
    shown = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Request-ID", "Idempotency-Replayed"} <= set(shown)
    large = {**ECHO, "params": ["x" * 5000]}
    assert (await wire.post(large, Accept_Encoding="gzip")).headers["Vary"] == "Accept-Encoding, Origin"


async def test_a10_by_default_no_origin_is_let_in() -> None:
    async with serving(make_service()) as wire:
        asking = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
        async with wire.session.options(wire.url, headers=asking) as answer:
            assert await is_refused(answer, 403, -32003, "Forbidden")
        assert "Vary" not in (await wire.post(ECHO)).headers


@pytest.mark.parametrize("path", ["/rpc", "/page", "/health/live", "/nothing"])
async def test_a10_other_expectations_are_417_everywhere(wire: Wire, path: str) -> None:
    async with wire.session.get(wire.base + path, headers={"Expect": "200-ok"}) as answer:
        # who asks /rpc wrongly hears of that first
        assert await is_refused(answer, 405 if path == "/rpc" else 417)
        assert answer.headers["Server"] == "jsonrpc-tm"


@pytest.mark.parametrize(
    ("written", "loaded"),
    [
        ("https://Pages.example.org", "https://pages.example.org"),
        ("https://pages.example.org:443", "https://pages.example.org"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://localhost:443", "http://localhost:443"),
        ("moz-extension://0a1b-2c", "moz-extension://0a1b-2c"),
    ],
)
def test_a10_origins_are_written_as_people_do(written: str, loaded: str) -> None:
    assert load(None, {}, {"server.origins": [written]}, ())["server.origins"] == [loaded]


@pytest.mark.parametrize(
    "written",
    ["null", "*", "pages.example.org", "https://x/", "https://x/y", "https://u@x", "https://*.x.org", "https://"],
)
def test_a10_what_is_no_origin_stops_the_start(written: str) -> None:
    with pytest.raises(ConfigurationError, match=r"server\.origins"):
        load(None, {}, {"server.origins": [written]}, ())


async def test_attack_5_a_form_on_a_foreign_page_deletes_nothing(tmp_path: Path) -> None:
    """With the browser's certificate, on real TLS: DIRAC's wire takes forms, which need no preflight."""
    async with dirac.serving(tmp_path / "tls") as (url, _, service):
        folder = devcerts.Folder(tmp_path / "tls")
        ca = trustme.CA.from_pem(folder.ca.read_bytes(), folder.key("ca").read_bytes())
        admin = pki.user(ca, dirac.BASE + "adminuser").write(tmp_path, "admin")
        client = dirac.Dirac(url, folder.ca, tmp_path, service)
        assert (await client.call(admin, "addTransformation", "t", "d", "l", "Merge", "Standard", "Manual", "")).value

        delete = {"method": "deleteTransformation", "args": '["t"]'}
        for foreign in (
            {"Origin": FOREIGN, "Sec_Fetch_Site": "cross-site"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "same-site"},
            {"Origin": client.base.replace("https", "http")},
        ):
            assert (await client.post(admin, delete, **foreign)).status == 403
        assert (await client.call(admin, "getTransformation", "t")).value["TransformationName"] == "t"
        own = {"Origin": client.base, "Sec_Fetch_Site": "same-origin"}
        assert (await client.post(admin, delete, **own)).value is None
        assert not (await client.call(admin, "getTransformation", "t")).json["OK"]


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        # a site whose name leads to 127.0.0.1 is its own origin there
        ("evil.example.org:8080", "http://evil.example.org:8080", 403),
        ("localhost:8080", "http://localhost:8080", 200),
        ("localhost:8080", "http://localhost:8081", 403),
        ("localhost:8080", "http://127.0.0.1:8080", 403),
        # the usual port goes unsaid; a balancer may have ended TLS
        ("localhost", "http://localhost", 200),
        ("localhost:80", "http://localhost", 200),
        ("localhost:443", "https://localhost", 200),
        ("LOCALHOST", "https://localhost", 200),
        ("localhost:80", "https://localhost", 403),
        ("localhost", "ftp://localhost", 403),
        ("localhost", "localhost", 403),
        ("localhost", "http://", 403),
    ],
)
async def test_attack_5_whose_page_it_is(host: str, origin: str, status: int) -> None:
    async with serving(make_service()) as wire:
        answer = await wire.post(ECHO, Host=host, Origin=origin)
        assert (answer.status, host, origin) == (status, host, origin)
