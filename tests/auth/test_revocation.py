"""Revocation lists, re-read while running, and sessions that are resumed."""

import asyncio
import logging
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest

from . import pki
from .conftest import Server, Site, client_context

PROXIES = [{"x509": {"proxies": True}}]


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jsonrpc_tm.http.tls", "jsonrpc_tm.auth.trust"):
        monkeypatch.setattr(f"{module}.RELOAD", 0)


def _revoke(site: Site, *credentials: pki.Credential, **kwargs) -> Path:
    path = site.folder / "crl.pem"
    path.write_bytes(pki.crl(site.ca, *credentials, **kwargs))
    return path


async def test_revoked_user_and_the_users_proxy(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    mallory = site.user()
    crl = _revoke(site, mallory)
    async with site.server(PROXIES, server__tls__crl=str(crl)) as server:
        assert (await site.ask(server, site.user())).status == 200
        assert "certificate revoked" in await site.refused(server, mallory, caplog)
        assert "certificate revoked" in await site.refused(server, pki.proxy(mallory), caplog)


async def test_list_is_read_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    mallory = site.user()
    proxy = pki.proxy(mallory)
    crl = _revoke(site)
    connector = aiohttp.TCPConnector(ssl=client_context(site.folder / "ca.pem", proxy.write(site.folder, "mallory")))
    async with (
        site.server(PROXIES, server__tls__crl=str(crl)) as server,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        assert (await site.ask(server, session=session)).status == 200
        _revoke(site, mallory)
        # the connection that is open
        who = await site.ask(server, session=session)
        assert (who.status, who.message) == (401, "The certificate is revoked")
        # a new one
        assert "certificate revoked" in await site.refused(server, mallory, caplog)
        assert (await site.ask(server, site.user())).status == 200


async def test_broken_list_leaves_the_old_one_in_use(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    mallory = site.user()
    crl = _revoke(site, mallory)
    async with site.server(PROXIES, server__tls__crl=str(crl)) as server:
        crl.write_bytes(crl.read_bytes()[:100])
        with pytest.raises(aiohttp.ClientError):
            await site.ask(server, mallory)
        assert "the old ones stay in use" in caplog.text
        assert (await site.ask(server, site.user())).status == 200


async def test_hashed_folder(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    mallory = site.user()
    folder = site.folder / "certificates"
    folder.mkdir()
    name = pki.subject_hash(site.ca)
    (folder / f"{name}.0").write_bytes(site.ca.cert_pem.bytes())
    (folder / f"{name}.r0").write_bytes(pki.crl(site.ca))
    (folder / "README").write_text("not a certificate")
    both = {"server__tls__client_ca": str(folder), "server__tls__crl": str(folder)}
    async with site.server(PROXIES, **both) as server:
        assert (await site.ask(server, mallory)).status == 200
        (folder / f"{name}.r0").write_bytes(pki.crl(site.ca, mallory))
        assert "certificate revoked" in await site.refused(server, pki.proxy(mallory), caplog)


async def _tls12(server: Server, site: Site, path: Path, session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession]:
    """Send one request over TLS 1.2; return whether the session was resumed, and the session."""
    context = client_context(site.folder / "ca.pem", path)
    if session is not None:
        # a session belongs to its context
        context = _tls12.context  # type: ignore[attr-defined]
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _tls12.context = context  # type: ignore[attr-defined]

    def talk() -> tuple[bool, ssl.SSLSession]:
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as connection,
        ):
            connection.sendall(b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            while connection.recv(4096):
                pass
            assert connection.session is not None
            return bool(connection.session_reused), connection.session

    return await asyncio.to_thread(talk)


async def test_resumed_session(site: Site) -> None:
    first = pki.proxy(site.user(), group="analysis")
    path = pki.proxy(first, group="prod").write(site.folder, "alice")
    async with site.server(PROXIES) as server:
        resumed, session = await _tls12(server, site, path, None)
        assert not resumed
        resumed, _ = await _tls12(server, site, path, session)
        assert resumed
        assert server.found is not None
        who = server.found.identity
        assert who is not None
        assert (who.username, who.group, who.authentication) == ("alice", "analysis", "proxy")


async def test_resumed_session_of_a_user_revoked_since(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # between the list's change and the next look at it, the context still knows the session
    monkeypatch.setattr("jsonrpc_tm.http.tls.RELOAD", 3600)
    mallory = site.user()
    crl = _revoke(site)
    async with site.server(PROXIES, server__tls__crl=str(crl)) as server:
        _, session = await _tls12(server, site, pki.proxy(mallory).write(site.folder, "mallory"), None)
        _revoke(site, mallory)
        resumed, _ = await _tls12(server, site, site.folder / "mallory.pem", session)
        assert resumed
        assert server.found is not None
        assert (server.found.status, server.found.message) == (401, "The certificate is revoked")


async def test_resumed_session_whose_chain_is_not_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonrpc_tm.auth.x509.sent_chain", lambda connection: [])
    path = site.user().write(site.folder, "alice")
    async with site.server(PROXIES) as server:
        _, session = await _tls12(server, site, path, None)
        resumed, _ = await _tls12(server, site, path, session)
        assert resumed
        assert server.found is not None
        assert (server.found.status, server.found.message) == (401, "The certificate's chain is not known")


async def test_plain_text_on_the_tls_port_is_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.server(PROXIES) as server:
        with caplog.at_level(logging.INFO, "jsonrpc_tm.http.tls"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read()
            writer.close()
    lines = [record.message for record in caplog.records if record.name == "jsonrpc_tm.http.tls"]
    assert lines == ["TLS handshake failed: HTTP_REQUEST"]
