"""TLS that does not come about: what the client and the server's log say (REPORTS A9)."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from jsonrpc_tm.api import Method
from jsonrpc_tm.client import Client, ConnectionFailed
from jsonrpc_tm.client.tls import ended
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.http.tls import server_context
from jsonrpc_tm.settings import load
from tests.auth import pki
from tests.http.fakes import make_service

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Site:
    """An authority, and servers with certificates of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        server = self.authority.issue_cert("127.0.0.1", "::1")
        server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")

    def user(self, begins: datetime, expires: datetime, *, proxy: bool = False) -> Path:
        found = pki.user(self.authority, "/DC=org/CN=alice", begins=begins, expires=expires)
        return (pki.proxy(found) if proxy else found).write(self.folder, f"{begins:%j}-{expires:%j}-{proxy}")

    @contextlib.asynccontextmanager
    async def serving(self, *methods: Method, tls: bool = True, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Serve, *methods* too; give host and port."""
        files = {
            "server.tls.mode": "files",
            "server.tls.certificate": str(self.folder / "server.pem"),
            "server.tls.client_ca": str(self.ca),
        }
        context = server_context(load(None, {}, files, ())) if tls else None
        service = make_service(*methods)
        with bind(host, 0) as bound:
            port = bound.getsockname()[1]
            async with service, listening(service, bound, context):
                yield f"127.0.0.1:{port}"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def _failure(url: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, **options: Path) -> str:
    client = Client(url, **options)
    if client._ssl is not None:
        client._ssl.maximum_version = version
    async with client:
        with pytest.raises(ConnectionFailed) as failed:
            await client.call("echo", 1)
    return str(failed.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a9_a_certificate_that_has_ended_says_so(
    site: Site, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    old = site.user(NOW - 2 * DAY, NOW - DAY)
    early = site.user(NOW + DAY, NOW + 2 * DAY)
    async with site.serving() as place:
        said = await _failure(f"https://{place}", version, cert=old, ca=site.ca)
        assert f"the certificate in {old} expired on {NOW - DAY:%Y-%m-%d at %H:%M} UTC" in said
        said = await _failure(f"https://{place}", version, cert=early, ca=site.ca)
        assert f"the certificate in {early} is not valid before {NOW + DAY:%Y-%m-%d, %H:%M} UTC" in said
        async with Client(f"https://{place}", cert=site.user(NOW - DAY, NOW + DAY), ca=site.ca) as client:
            assert await client.call("echo", 1) == 1
    lines = [record for record in caplog.records if "handshake refused" in record.message]
    assert [record.message for record in lines] == [
        "TLS handshake refused: certificate has expired (10)",
        "TLS handshake refused: certificate is not yet valid (9)",
    ]
    assert [vars(record)["address"] for record in lines] == ["127.0.0.1"] * 2


async def test_a9_http_where_https_is_spoken(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.serving(host="::") as place:
        with caplog.at_level(logging.INFO):
            assert (await _failure(f"http://{place}")).endswith("Server disconnected (is it https?).")
    (line,) = [record for record in caplog.records if "handshake" in record.message]
    assert (line.message, vars(line)["address"]) == ("TLS handshake failed: HTTP_REQUEST", "127.0.0.1")


async def test_a9_https_where_http_is_spoken(site: Site) -> None:
    async with site.serving(tls=False) as place:
        assert (await _failure(f"https://{place}", ca=site.ca)).endswith(" (is it http?).")


async def test_a9_every_line_has_the_address_of_its_own_connection(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.serving(host="0.0.0.0") as place:
        port = int(place.partition(":")[2])

        async def garbage(source: str) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            writer.write(b"this is no TLS\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()

        sources = {f"127.0.0.{number}" for number in range(2, 12)}
        with caplog.at_level(logging.INFO):
            await asyncio.gather(*map(garbage, sources))
    lines = [record for record in caplog.records if "handshake" in record.message]
    assert sorted(vars(line)["address"] for line in lines) == sorted(sources)


@pytest.mark.parametrize("year", [1950, 1999, 2049, 2050, 9999])
def test_a9_dates_of_certificates(site: Site, year: int) -> None:
    expires = datetime(year, 6, 1, 12, 30, tzinfo=UTC)
    for proxy in (False, True) if year > 2026 else (False,):
        path = site.user(datetime(1950, 1, 1, tzinfo=UTC), expires, proxy=proxy)
        if year < 2026:
            assert ended(path, NOW) == f"the certificate in {path} expired on {year}-06-01 at 12:30 UTC"
        else:
            assert ended(path, NOW) is None
    chain = site.folder / "chain.pem"
    chain.write_text(site.user(NOW - DAY, NOW + DAY).read_text() + site.user(NOW - 2 * DAY, NOW - DAY).read_text())
    assert "expired" in (ended(chain, NOW) or "")


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", b"\xff" * 9]
)
def test_a9_what_is_no_certificate_has_no_dates(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cert.pem").write_bytes(content)
    assert ended(tmp_path / "cert.pem", NOW) is None
    assert ended(tmp_path / "missing.pem", NOW) is None
