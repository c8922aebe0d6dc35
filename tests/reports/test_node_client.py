"""The client for Node that docs/clients.md shows."""

import asyncio
import contextlib
import json
import shutil

import pytest

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.http import tls
from jsonrpc_tm.settings import Settings
from tests.dirac.conftest import serving
from tests.docs.blocks import blocks

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
(CLIENT,) = (text for text in blocks("docs/clients.md", "js") if text.startswith("// client.mjs"))
HEAD = """
import {{ Client }} from "./client.mjs";
const client = new Client("{url}", {{
  ca: "tls/ca.pem", cert: "tls/adminuser.pem", key: "tls/adminuser.key", timeout: {patience},
}});
"""


async def run(folder, url, program, patience=20_000):
    """Run a program that has ``client``; return what it prints."""
    (folder / "client.mjs").write_text(CLIENT)
    (folder / "main.mjs").write_text(HEAD.format(url=url, patience=patience) + program + "client.close();")
    process = await asyncio.create_subprocess_exec(
        "node", "main.mjs", cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    return out.decode()


async def test_e2_pages_go_on_whatever_columns_are_asked_for(tmp_path):
    admin = Identity("adminuser", "dirac_prod", ("ProductionManagement",))
    async with serving(tmp_path / "tls") as (url, _, service):
        for name in ("a", "b"):
            new = [name, "d", "l", "Processing", "Standard", "Manual", ""]
            await service.call(service.context(admin), "addTransformation", new)
            await service.call(service.context(admin), "addFilesToTransformation", [name, ["/1", "/2", "/3", "/4"]])
        printed = await run(
            tmp_path,
            url,
            """
            async function column(name, ...call) {
              const values = [];
              for await (const row of client.pages(...call)) values.push(row[name]);
              console.log(JSON.stringify(values));
            }
            const one = { condDict: { TransformationID: 1 }, columns: ["LFN"] };
            await column("LFN", "getTransformationFiles", one, "FileID", 2);
            await column("LFN", "getTransformationFiles", { columns: ["LFN"] }, ["TransformationID", "FileID"], 3);
            await column("TransformationName", "getTransformations", {}, "TransformationID", 1);
            await column("", "getTransformations", {}, "NoSuch", 1).catch((error) => console.log(error.message));
            """,
        )
    lines = printed.splitlines()
    names = ["/1", "/2", "/3", "/4"]
    assert [json.loads(line) for line in lines[:3]] == [names, names * 2, ["a", "b"]], printed
    assert lines[3:] == ["getTransformations has no column NoSuch to page by"]


async def test_e2_a_call_that_hangs_is_ended(tmp_path):
    """A server that takes the request, and one that begins an answer, and then say nothing more."""
    made = devcerts.ensure(tmp_path / "tls", {"adminuser": "/O=x/CN=adminuser"})
    context = tls.server_context(Settings.defaults(server__tls__folder=str(made.path)))
    begun = iter([b"", b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"json'])

    async def hang(reader, writer):
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(begun))
            await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0, ssl=context) as hanging:
        port = hanging.sockets[0].getsockname()[1]
        call = 'await client.call("ping").catch((error) => console.log(error.name));'
        printed = await run(tmp_path, f"https://127.0.0.1:{port}/rpc", call * 2, patience=300)
    assert printed.split() == ["AbortError", "AbortError"], printed
