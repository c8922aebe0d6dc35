"""Recording live calls, and replaying what was recorded."""

import asyncio
import json
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from jsonrpc_tm import client
from jsonrpc_tm.tools.replay.commands import record, replay
from jsonrpc_tm.tools.replay.record import Recording, recorder

from .samples import line, write

NOW = "2024-10-15T12:00:00Z"
CATALOG = {"fields": {"a": "int"}, "directories": {"/": {}}, "files": {"/f": {"a": 1}}}
ADD = ["t", "d", "l", "Processing", "P", "Manual", ""]


def call(method: str, *params: Any, id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": list(params)}


@pytest.fixture
def served(tmp_path: Path, serve: Any) -> Any:
    return serve(write(tmp_path / "world", one=[line()]), harness=True)


@asynccontextmanager
async def proxied(served: Any, folder: Path) -> AsyncIterator[Callable[..., Any]]:
    tls: ssl.SSLContext = client.tls_context(
        cert=served.folder / "alice.pem", key=served.folder / "alice.key", ca=served.folder / "ca.pem"
    )
    async with recorder("127.0.0.1", 0, served.url, Recording(folder), tls=tls) as url, aiohttp.ClientSession() as http:

        async def post(body: Any, **headers: str) -> Any:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
            async with http.post(url, data=data, headers=headers) as response:
                text = await response.text()
                return json.loads(text) if response.content_type == "application/json" and text else response.status

        yield post


async def check(folder: Path, *counts: int) -> None:
    """The recording replays without a difference."""
    result = await asyncio.to_thread(CliRunner().invoke, replay, [str(folder)])
    scenarios, steps = counts
    assert (result.exit_code, result.output) == (0, f"{scenarios} scenarios, {steps} steps, 0 failed\n")


async def test_a_recording_replays(served: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    async with proxied(served, folder) as post:
        await post(call("harness.reset", NOW, CATALOG))
        await post(call("addTransformation", *ADD))
        await post(call("harness.setClock", "2024-10-15T13:00:00Z"))
        answer = await post(call("addFilesToTransformation", "t", ["/f", "/\u00e9\ud83d\ude00"], id="x"))
        assert answer["id"] == "x"
        await post(call("getTransformationFiles"))
        assert (await post(call("getTransformation", "nosuch")))["error"]["data"]["type"] == "NotFound"
        await post(call("ping"))
        await post(call("whoami"))
        await post(call("rpc.discover"))
    lines = [json.loads(text) for text in (folder / "recording.jsonl").read_text().splitlines()]
    assert [(step["step"], step["now"], step["as"]) for step in lines[:2]] == [
        (1, NOW, "alice"),
        (2, "2024-10-15T13:00:00Z", "alice"),
    ]
    assert [step.get("match") for step in lines[-3:]] == ["keys", "subset", "present"]
    assert json.loads((folder / "catalog.json").read_text()) == CATALOG
    identities = json.loads((folder / "identities.json").read_text())
    assert identities["alice"]["group"] == "prod"
    await check(folder, 1, 7)


async def test_batches_and_notifications_are_steps_too(served: Any, tmp_path: Path) -> None:
    async with proxied(served, tmp_path / "recorded") as post:
        await post(call("harness.reset", NOW))
        notification = {"jsonrpc": "2.0", "method": "addTransformation", "params": ADD}
        assert await post(notification) == 204
        assert await post([notification, notification]) == 204
        answers = await post([call("getTransformation", "t", id=5), notification, call("echo", 1, id=5)])
        assert sorted(answer["id"] for answer in answers) == [5, 5]
        assert answers[0]["result"]["TransformationName"] == "t"
    await check(tmp_path / "recorded", 1, 6)


async def test_a_call_that_is_sent_again_under_its_key_is_one_step(served: Any, tmp_path: Path) -> None:
    async with proxied(served, tmp_path / "recorded") as post:
        await post(call("harness.reset", NOW))
        for id in (1, 2):
            answer = await post(call("addTransformation", *ADD, id=id), **{"Idempotency-Key": "k"})
            assert answer == {"jsonrpc": "2.0", "result": 1, "id": id}
    await check(tmp_path / "recorded", 1, 1)


async def test_each_reset_begins_a_scenario(served: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    async with proxied(served, folder) as post:
        for catalog in (None, None, CATALOG, None):
            await post(call("harness.reset", NOW, catalog))
            await post(call("harness.reset", NOW, catalog))
            await post(call("addTransformation", *ADD, "General", 1, 0, "", 0, 0, True))
            await post(call("addFile", ["/f"]))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jsonl"))
    assert names == ["recording.jsonl", "recording_2.jsonl", "recording_3/recording_3.jsonl", "recording_4.jsonl"]
    await check(folder, 4, 8)


async def test_what_is_no_call_is_passed_on_and_not_recorded(served: Any, tmp_path: Path) -> None:
    async with proxied(served, tmp_path / "recorded") as post:
        await post(call("harness.reset", NOW))
        assert (await post(b"{"))["error"]["data"]["type"] == "ParseError"
        assert (await post([]))["error"]["data"]["type"] == "InvalidRequest"
        assert (await post({**call("echo", 1), "jsonrpc": "1.0"}))["error"]["data"]["type"] == "InvalidRequest"
        assert (await post([1, call("echo", 1)]))[0]["error"]["data"]["type"] == "InvalidRequest"
        assert (await post(b"x", **{"Content-Type": "text/plain"}))["error"]["data"]["type"] == "InvalidRequest"
        await post(call("echo", 1))
    await check(tmp_path / "recorded", 1, 1)


async def test_a_server_that_is_gone_is_told(tmp_path: Path) -> None:
    async with (
        recorder("127.0.0.1", 0, "http://127.0.0.1:9/rpc", Recording(tmp_path)) as url,
        aiohttp.ClientSession() as http,
        http.post(url, json=call("echo", 1)) as response,
    ):
        assert response.status == 502


def test_an_earlier_recording_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "recording.jsonl").write_text("precious")
    arguments = ["--url", "http://127.0.0.1:9/rpc", "--output", str(tmp_path)]
    result = CliRunner().invoke(record, arguments)
    assert result.exit_code == 2
    assert "cannot record" in result.stderr
    assert (tmp_path / "recording.jsonl").read_text() == "precious"


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:", "0.0.0.0:0", ":80", "127.0.0.1:65536"])
def test_an_unusable_address_is_refused(listen: str, tmp_path: Path) -> None:
    arguments = ["--listen", listen, "--url", "http://127.0.0.1:9/rpc", "--output", str(tmp_path / "out")]
    assert CliRunner().invoke(record, arguments).exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--url", "localhost:9"], "cannot record: 'localhost:9' is not the URL of a server"),
        (["--url", "https://localhost:9/rpc", "--cert", "no.pem"], "cannot record: cannot read no.pem: No such file"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_a_folder_is_made(
    options: list[str], says: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(record, [*options, "--output", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert done.output.startswith(says)
    assert not (tmp_path / "out").exists()


async def test_the_command_records_until_it_is_stopped(served: Any, tmp_path: Path) -> None:
    certificate = [f"--{name}={served.folder / file}" for name, file in TLS.items()]
    code = "from jsonrpc_tm.tools.replay.commands import record; record()"
    options = [f"--url={served.url}", "--name=mine", "-o", str(tmp_path / "out"), *certificate]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", code, *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().removeprefix("listening on ").strip()
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json=call("harness.reset", NOW)) as response:
            assert response.status == 200
        async with http.post(url, json=call("echo", {"a": [1]})) as response:
            assert (await response.json())["result"] == {"a": [1]}
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()
    assert process.returncode == 0
    assert rest.decode() == f"1 scenarios, 1 steps recorded in {tmp_path / 'out'}\n"
    await check(tmp_path / "out", 1, 1)


TLS = {"cert": "alice.pem", "key": "alice.key", "ca": "ca.pem"}


def test_callers_get_keys_of_their_own(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    alice = {"username": "alice", "group": "a", "properties": [], "DN": None, "secondsLeft": 5}
    assert recording.caller(alice) == "alice"
    assert recording.caller({**alice, "secondsLeft": 4}) == "alice"
    assert recording.caller({**alice, "group": "b", "DN": "/CN=alice"}) == "alice/b"
    assert recording.caller(None) == "nobody"
    assert json.loads((tmp_path / "identities.json").read_text()) == {
        "alice": {"username": "alice", "group": "a", "properties": []},
        "alice/b": {"username": "alice", "group": "b", "properties": [], "DN": "/CN=alice"},
        "nobody": None,
    }


async def test_credentials_of_a_call_are_passed_on(tmp_path: Path, aiohttp_server: Any) -> None:
    seen: list[tuple[str | None, str]] = []

    async def answer(request: web.Request) -> web.Response:
        sent = await request.json()
        seen.append((request.headers.get("Authorization"), sent["method"]))
        return web.json_response({"jsonrpc": "2.0", "id": sent["id"], "result": {**ALICE, "data": 1}})

    app = web.Application()
    app.router.add_post("/rpc", answer)
    upstream = await aiohttp_server(app)
    async with (
        recorder("127.0.0.1", 0, str(upstream.make_url("/rpc")), Recording(tmp_path), token="mine") as url,
        aiohttp.ClientSession() as http,
    ):
        for headers in ({}, {"Authorization": "Bearer theirs"}, {}):
            async with http.post(url, json=call("echo", 1), headers=headers) as response:
                assert response.status == 200
    mine, theirs = "Bearer mine", "Bearer theirs"
    assert seen == [(mine, "whoami"), (mine, "echo"), (theirs, "whoami"), (theirs, "echo"), (mine, "echo")]


ALICE = {"username": "alice", "group": "a", "properties": []}
