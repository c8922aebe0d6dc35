"""``rpc.discover`` for programs: an address to call, and schemas that generators of clients can read."""

import asyncio
import json
import shutil
from urllib.parse import urlsplit

import aiohttp
import jsonschema
import pytest

from jsonrpc_tm.app import build_service
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.rpc import openrpc
from jsonrpc_tm.tools.testing.configuration import configure

SETTINGS = {"storage.url": "sqlite://:memory:", "server.tls.mode": "off", "server.port": 0}


def make(**more):
    settings, plugins = configure({**SETTINGS, **{name.replace("__", "."): value for name, value in more.items()}})
    return build_service(settings, plugins=plugins, authenticators=())


def parts(schema, where):
    """Yield every schema inside of one, with its place."""
    yield where, schema
    for word in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(word), dict):
            yield from parts(schema[word], f"{where}.{word}")
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{where}.{name}")
    for word in ("anyOf", "oneOf", "allOf"):
        for index, inner in enumerate(schema.get(word, ())):
            yield from parts(inner, f"{where}.{word}[{index}]")


def test_a4_every_schema_is_one_that_generators_can_read():
    """Arrays without items crash the official generator; draft 7 is what OpenRPC means by a schema."""
    found = 0
    for method in make(audit_log__enabled=True).document["methods"]:
        schemas = [(parameter["name"], parameter["schema"]) for parameter in method["params"]]
        for name, schema in [*schemas, ("result", method["result"]["schema"])]:
            jsonschema.Draft7Validator.check_schema(schema)
            for where, part in parts(schema, f"{method['name']}.{name}"):
                found += 1
                if "array" in part.get("type", ()):
                    assert "items" in part, where
    assert found > 500


async def test_a4_the_url_is_the_address_that_was_asked():
    service = make(server__hosts=["tm.example.org"])
    # without a network there is only what the settings say
    (server,) = (await service.call(service.context(), "rpc.discover"))["servers"]
    assert server["url"] == "http://localhost/rpc"
    async with service:
        with bind("127.0.0.1", 0) as bound:
            async with listening(service, bound, None) as url, aiohttp.ClientSession() as session:

                async def told(**headers):
                    call = {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}
                    async with session.post(url, json=call, headers=headers) as response:
                        document = (await response.json())["result"]
                    assert len(document["methods"]) == len(service.document["methods"])
                    (server,) = document["servers"]
                    return server["url"]

                port = urlsplit(url).port
                assert await told() == url
                assert await told(Host=f"localhost:{port}") == f"http://localhost:{port}/rpc"
                assert await told(Host="tm.example.org") == "http://tm.example.org/rpc"
                assert await told(Host=f"[::1]:{port}") == f"http://[::1]:{port}/rpc"
                # nobody's word is taken for another address
                forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example.org"}
                assert await told(**forwarded) == url


def test_a4_what_is_no_host_does_not_become_part_of_a_url():
    settings = make().settings
    for host in ("", 'a"b', "a/b?c", "user@host", "a b", "x" * 300, "[zz]", "a:b", "a:123456"):
        assert openrpc.address(settings, f"http://{host}/rpc") == "http://localhost/rpc"
    assert openrpc.address(settings, "javascript://host/rpc") == "http://localhost/rpc"


async def test_a4_behind_a_balancer_the_setting_says_it():
    service = make(server__public_url="https://tm.example.org/production/rpc")
    context = service.context(url="http://10.0.0.5:8443/rpc")
    assert (await service.call(context, "rpc.discover"))["servers"][0]["url"] == "https://tm.example.org/production/rpc"


OFFICIAL = """
const { validateOpenRPCDocument, parseOpenRPCDocument } = require("@open-rpc/schema-utils-js");
const document = require("./openrpc.json");
const verdict = validateOpenRPCDocument(document);
if (verdict !== true) { console.log(JSON.stringify(verdict)); process.exit(1); }
parseOpenRPCDocument(document).then((parsed) => console.log(parsed.methods.length));
"""


@pytest.mark.slow  # fetches the official packages
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_a4_the_official_validator_and_generator_take_it(tmp_path):
    async def run(*words):
        process = await asyncio.create_subprocess_exec(
            *words, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    (tmp_path / "package.json").write_text("{}")
    packages = ("@open-rpc/meta-schema", "@open-rpc/schema-utils-js", "@open-rpc/generator-client")
    code, out = await run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages)
    if code:
        pytest.skip(f"the official packages cannot be had: {out[-300:]}")
    service = make()
    document = await service.call(service.context(url="https://127.0.0.1:8443/rpc"), "rpc.discover")
    (tmp_path / "openrpc.json").write_text(json.dumps(dict(document)))
    (tmp_path / "validate.js").write_text(OFFICIAL)
    assert await run("node", "validate.js") == (0, f"{len(document['methods'])}\n")
    generator = tmp_path / "node_modules" / ".bin" / "open-rpc-generator-client"
    code, out = await run(str(generator), "-d", "openrpc.json", "-o", "generated", "--ts-name", "tm", "--rs-name", "tm")
    assert code == 0 and "Done!" in out, out[-2000:]
    client = (tmp_path / "generated" / "typescript" / "src" / "index.ts").read_text()
    for method in document["methods"]:
        assert method["name"].replace(".", "") in client.replace(".", ""), method["name"]
