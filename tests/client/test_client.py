"""The clients against a small server that answers as it is told."""

import asyncio
import contextlib
import gzip
import ssl
from types import SimpleNamespace

import orjson
import pytest
import trustme
from aiohttp import web

from jsonrpc_tm.client import Client, ConnectionFailed, SyncClient, events, tls_context
from jsonrpc_tm.core import errors
from jsonrpc_tm.core.errors import ConfigurationError


class Server:
    """Answers with what ``reply`` makes of the parsed request; remembers requests and connections."""

    def __init__(self) -> None:
        self.reply = lambda request: {"jsonrpc": "2.0", "id": request["id"], "result": request.get("params")}
        self.requests: list[tuple[web.Request, bytes]] = []
        self.connections: set[object] = set()
        self.status = 200

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((request, body))
        self.connections.add(request.transport)
        answer = self.reply(orjson.loads(body))
        if isinstance(answer, web.Response):
            return answer
        if answer is None:
            return web.Response(status=204)
        return web.Response(body=orjson.dumps(answer), status=self.status, content_type="application/json")


@pytest.fixture
async def server(aiohttp_server):
    server = Server()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/rpc", server.handle)
    running = await aiohttp_server(app)
    server.url = str(running.make_url("/rpc"))
    return server


def refuse(code: int, **data):
    return lambda request: {
        "jsonrpc": "2.0",
        "id": request["id"],
        "error": {"code": code, "message": "No.", "data": data},
    }


async def test_parameters_by_position_by_name_or_none(server):
    async with Client(server.url) as client:
        assert await client.call("echo", 1, "é") == [1, "é"]
        assert await client.call("echo", a=1, method=2, self=3) == {"a": 1, "method": 2, "self": 3}
        assert await client.call("ping") is None
        with pytest.raises(TypeError, match="not both"):
            await client.call("echo", 1, a=1)
    assert [orjson.loads(body) for _, body in server.requests][2] == {"jsonrpc": "2.0", "method": "ping", "id": 3}


async def test_connections_stay_open(server):
    async with Client(server.url) as client:
        for _ in range(5):
            await client.call("ping")
    assert len(server.connections) == 1


async def test_headers(server):
    async with Client(server.url, token="abc", group="prod") as client:
        await client.call("ping")
    headers = server.requests[0][0].headers
    assert headers["Authorization"] == "Bearer abc"
    assert headers["X-TM-Group"] == "prod"
    assert headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in headers


async def test_large_requests_are_compressed(server):
    lfns = [f"/vo/data/{number}" for number in range(5000)]
    async with Client(server.url, token="t") as client:
        assert await client.call("echo", lfns) == [lfns]
    request, body = server.requests[0]
    assert request.headers["Content-Encoding"] == "gzip"
    assert int(request.headers["Content-Length"]) < len(body) / 3


async def test_compressed_answers_are_read(server):
    def reply(request):
        body = gzip.compress(orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": 7}))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"}, content_type="application/json")

    server.reply = reply
    async with Client(server.url) as client:
        assert await client.call("ping") == 7


async def test_integers_beyond_64_bits_and_lone_surrogates_are_sent(server):
    async with Client(server.url) as client:
        server.reply = lambda request: {"jsonrpc": "2.0", "id": 1, "result": None}
        await client.call("echo", 2**70)
        assert b"1180591620717411303424" in server.requests[0][1]


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        (-32602, "InvalidParams", errors.InvalidParams),
        (-32001, "Unauthenticated", errors.Unauthenticated),
        (-32003, "Forbidden", errors.Forbidden),
        (-32004, "NotFound", errors.NotFound),
        (-32050, "StorageUnavailable", errors.StorageUnavailable),
    ],
)
async def test_errors_become_exceptions_of_their_class(server, code, name, kind):
    server.reply = refuse(code, type=name, request_id="r1", retryable=True)
    async with Client(server.url) as client:
        with pytest.raises(errors.TMError) as caught:
            await client.call("x")
    assert type(caught.value) is kind
    assert caught.value.message == str(caught.value) == "No."
    assert caught.value.data == {"request_id": "r1", "retryable": True}
    assert caught.value.code == code


async def test_an_error_of_a_plugin_keeps_its_type(server):
    server.reply = refuse(-32123, type="QuotaExceeded", left=0)
    async with Client(server.url) as client:
        with pytest.raises(errors.TMError) as caught:
            await client.call("x")
    assert (caught.value.code, caught.value.type, caught.value.data) == (-32123, "QuotaExceeded", {"left": 0})
    assert errors.TMError.type == "InternalError"


async def test_bad_credentials_have_a_class_of_their_own(server):
    server.status = 401
    server.reply = lambda request: {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32001, "message": "No.", "data": {"type": "Unauthenticated"}},
    }
    async with Client(server.url) as client:
        with pytest.raises(errors.BadCredentials):
            await client.call("x")
        with pytest.raises(errors.BadCredentials):
            await client.batch([("x", [])])


async def test_batch_keeps_the_order_whatever_the_answers_order(server):
    def reply(requests):
        results = [{"jsonrpc": "2.0", "id": request["id"], "result": request["method"]} for request in requests[:2]]
        failed = {"code": -32004, "message": "No.", "data": {"type": "NotFound"}}
        refused = {"code": -32600, "message": "No.", "data": {"type": "InvalidRequest", "index": 4}}
        unread = {"code": -32600, "message": "Deep.", "data": {"type": "InvalidRequest", "index": 3}}
        return [
            {"jsonrpc": "2.0", "id": None, "error": unread},
            {"jsonrpc": "2.0", "id": requests[4]["id"], "error": refused},
            {"jsonrpc": "2.0", "id": requests[2]["id"], "error": failed},
            *reversed(results),
        ]

    server.reply = reply
    async with Client(server.url) as client:
        results = await client.batch([("a", []), ("b", {"x": 1}), ("c", []), ("d", []), ("e", [])])
        assert results[:2] == ["a", "b"]
        kinds = [errors.NotFound, errors.InvalidRequest, errors.InvalidRequest]
        assert [type(result) for result in results[2:]] == kinds
        assert await client.batch([]) == []
        server.reply = lambda request: {"jsonrpc": "2.0", "id": None, "result": 1}
        with pytest.raises(ConnectionFailed, match="batch with a single result"):
            await client.batch([("a", [])])
        server.reply = lambda request: []
        with pytest.raises(ConnectionFailed, match="no JSON-RPC answer"):
            await client.batch([("a", [])])


async def test_notifications_have_no_answer(server):
    server.reply = lambda request: None if "id" not in request else 1
    async with Client(server.url) as client:
        assert await client.notify("ping") is None
    assert "id" not in orjson.loads(server.requests[0][1])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (web.Response(text="<html>"), "No JSON-RPC server there: it answered with HTTP status 200"),
        (web.Response(status=502, text="Bad gateway"), "HTTP status 502"),
        (web.Response(status=302, headers={"Location": "/rpc"}), "HTTP status 302"),
        (web.Response(text="5"), "HTTP status 200"),
        (web.Response(text="{}"), "no JSON-RPC answer"),
        (web.Response(status=204), "no JSON-RPC answer"),
    ],
)
async def test_what_is_no_answer_is_a_failed_connection(server, answer, message):
    server.reply = lambda request: answer
    async with Client(server.url) as client:
        with pytest.raises(ConnectionFailed, match=message) as caught:
            await client.call("ping")
    assert caught.value.sent


async def test_nobody_listens(unused_tcp_port):
    async with Client(f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(
            ConnectionFailed, match=r"Cannot connect to http://127\.0\.0\.1:[0-9]+/rpc: Connection refused\."
        ) as caught:
            await client.call("ping")
    assert not caught.value.sent


@pytest.mark.parametrize(("until", "message"), [(b"\r\n\r\n", "was lost"), (b"never", "did not answer in time")])
async def test_the_server_closes_in_the_middle_or_says_nothing(until, message):
    over = asyncio.Event()

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(until)
        writer.close()
        await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}/rpc", timeout=0.5) as client:
            with pytest.raises(ConnectionFailed, match=message) as caught:
                await client.call("ping")
        await over.wait()
    assert caught.value.sent


async def test_a_session_is_needed(server):
    with pytest.raises(RuntimeError, match="async with"):
        await Client(server.url).call("ping")


def test_without_asyncio(unused_tcp_port):
    with SyncClient(f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(ConnectionFailed):
            client.call("ping")
        with pytest.raises(ConnectionFailed):
            client.batch([("ping", [])])


async def test_a_client_in_the_wrong_place_says_which_is_right(unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(TypeError, match="use Client instead of SyncClient"), SyncClient(url):
        pass
    with pytest.raises(RuntimeError, match="`async with`, a SyncClient in `with`"):
        await Client(url).call("ping")


@pytest.mark.parametrize("url", ["127.0.0.1:8443", "ftp://x/rpc", "https://", "https:///rpc", ""])
def test_what_is_no_url(url):
    with pytest.raises(ConfigurationError, match="not the URL of a server"):
        Client(url)


class TestTLS:
    @pytest.fixture
    def authority(self):
        return trustme.CA()

    @pytest.fixture
    def files(self, authority, tmp_path):
        leaf = authority.issue_cert(common_name="alice")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        return tmp_path

    @pytest.fixture
    async def url(self, authority, aiohttp_server):
        async def subject(request: web.Request) -> web.Response:
            certificate = request.get_extra_info("peercert") or {}
            names = [value for ((name, value),) in certificate.get("subject", ()) if name == "commonName"]
            return web.Response(body=orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": names}))

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # refuses the certificates of trustme
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.configure_trust(context)
        app = web.Application()
        app.router.add_post("/rpc", subject)
        server = await aiohttp_server(app, ssl=context)
        return f"https://127.0.0.1:{server.port}"

    async def test_certificate_and_key_in_two_files_or_one(self, url, files):
        async with Client(url, cert=files / "cert.pem", key=files / "key.pem", ca=files / "ca.pem") as client:
            assert await client.call("whoami") == ["alice"]
        async with Client(url, cert=files / "both.pem", ca=files / "ca.pem") as client:
            assert await client.call("whoami") == ["alice"]
        async with Client(url, ca=files / "ca.pem") as client:
            assert await client.call("whoami") == []

    async def test_a_server_of_another_authority_is_refused(self, url):
        async with Client(url) as client:
            with pytest.raises(
                ConnectionFailed, match=r"its certificate is not accepted \(.*; `ca` names its authority\)"
            ) as caught:
                await client.call("whoami")
        assert not caught.value.sent

    async def test_a_certificate_that_the_server_refuses(self, url, files):
        trustme.CA().issue_cert(common_name="eve").private_key_and_cert_chain_pem.write_to_path(files / "eve.pem")
        async with Client(url, cert=files / "eve.pem", ca=files / "ca.pem") as client:
            with pytest.raises(ConnectionFailed, match=r"\(it may have refused the certificate: its log says why\)"):
                await client.call("whoami")

    def test_files_that_are_wrong(self, files):
        (files / "garbage.pem").write_text("garbage")
        for options, message in (
            ({"ca": files / "none.pem"}, r"cannot read .*none\.pem: No such file"),
            ({"ca": files / "garbage.pem"}, r"garbage\.pem is no usable PEM file"),
            ({"cert": files / "none.pem"}, r"cannot read .*none\.pem: No such file"),
            ({"cert": files / "garbage.pem"}, r"garbage\.pem is no usable PEM file"),
            ({"cert": files / "cert.pem", "key": files / "garbage.pem"}, r"\(with key .*garbage\.pem\) is no usable"),
            ({"cert": files / "cert.pem"}, r"cert\.pem has no private key; name the key's file, too"),
            ({"key": files / "key.pem"}, "a key needs its certificate"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                tls_context(**options)

    def test_authorities_in_a_folder(self, files):
        assert tls_context(ca=files).verify_mode == ssl.CERT_REQUIRED


class TestEvents:
    async def test_heartbeats_are_answers(self, monkeypatch):
        """A server may be quiet for longer than its restart is waited for."""
        now = 0.0
        monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: now))
        monkeypatch.setattr(events, "PAUSES", (0.0, 0.0))

        async def quiet():
            nonlocal now
            yield b": events\nid: 4\n\n"
            for _ in range(100):
                now += 15
                yield b": nothing new\n\n"

        async def lively():
            yield b'id: 5\ndata: {"revision": 5}\n\n'

        asked = []

        @contextlib.asynccontextmanager
        async def open(since):
            asked.append(since)
            if len(asked) == 2:
                raise ConnectionFailed("it is being started again", sent=False)
            parts = quiet if len(asked) == 1 else lively
            yield SimpleNamespace(status=200, content=SimpleNamespace(iter_any=parts))

        found = events.follow(open, None, 300)
        assert await anext(found) == {"revision": 5}
        assert asked == [None, 4, 4]
        await found.aclose()
