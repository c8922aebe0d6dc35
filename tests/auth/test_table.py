"""Every method by every kind of caller on own, group's, other's and missing transformations, through TLS sockets.

What is expected is computed from the specification's words, written down a second time in ``table``; the server's own
flags are not asked. Every transaction is undone, so that no call changes what the next one meets.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import trustme

from jsonrpc_tm import app
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.http import tls
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.settings import load
from jsonrpc_tm.tools import tokens

from . import pki
from .conftest import client_context
from .table import (
    ANNOUNCEMENTS,
    CALLERS,
    FOR_ALL,
    FOR_CATALOGS,
    GROUPS,
    LFN,
    MANAGE,
    NEW,
    OPERATIONS,
    READ,
    REGISTRY_GROUPS,
    RIGHT,
    TARGETS,
    WITHOUT_TARGET,
    Caller,
    calls_of,
)

ISSUER, AUDIENCE = "https://idp.example.org", "tm"


class Undone(Exception):
    """Ends a transaction that must not be kept."""


class Undoing:
    """A storage that undoes what its transactions did, once ``keeps`` is off."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.keeps = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def __aenter__(self) -> "Undoing":
        await self._storage.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._storage.__aexit__(*exc)

    async def run(self, name: str, body: Any, *args: Any, caller: str = "", **kwargs: Any) -> Any:
        if self.keeps:
            return await self._storage.run(name, body, *args, caller=caller, **kwargs)

        async def undone(tx: Any, *args: Any, **kwargs: Any) -> None:
            raise Undone(await body(tx, *args, **kwargs))

        with pytest.raises(Undone) as result:
            await self._storage.run(name, undone, *args, **kwargs)
        return result.value.args[0]


@dataclass
class Running:
    url: str
    folder: Path
    credentials: dict[str, pki.Credential]
    registry: Any

    def subject(self, caller: Caller) -> str:
        return tokens.issue(self.folder, caller.name, issuer=ISSUER, audience=AUDIENCE)


def _dn(name: str) -> str:
    return f"/DC=org/DC=example/CN={name}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("table")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    tokens.issue(folder, "x")
    jwt = {"issuer": ISSUER, "audience": AUDIENCE, "jwks": str(folder / tokens.KEY_SET)}
    users = {
        name: {"dns": [_dn(name)], "subjects": [name], "groups": groups, "suspended": name == "suspended"}
        for name, groups in REGISTRY_GROUPS.items()
    }
    settings = load(
        None,
        {},
        {
            "storage.url": "sqlite://:memory:",
            "server.port": 0,
            "limits.anonymous_batch": 0,
            "limits.anonymous_calls": 0,
            "server.tls.mode": "files",
            "server.tls.certificate": str(folder / "server.pem"),
            "server.tls.client_ca": str(folder / "ca.pem"),
            "authentication": [{"x509": {"proxies": True}}, {"jwt": {"issuers": [jwt]}}],
            "registry.users": users,
            "registry.groups": {name: {"properties": properties} for name, properties in GROUPS.items()},
            "registry.hosts": {
                c.name: {"dns": [_dn(c.name)], "properties": [*c.properties]} for c in CALLERS if c.host
            },
        },
    )
    plugins = app.load_plugins(entry_points=False)
    extra = [setting for setting, _ in plugins.collect("register_settings")]
    settings = load(None, {}, {name: settings[name] for name in settings}, extra)
    storage: Any = Undoing(app.open_storage(settings, plugins))
    service = app.build_service(settings, plugins=plugins, storage=storage)
    with bind("127.0.0.1", 0) as bound:
        async with service:
            for caller in CALLERS:
                for target, owner in TARGETS.items():
                    author, group = owner(caller)
                    identity = Identity(author, group, (MANAGE,))
                    name = f"{target} {caller.name}"
                    new = {**NEW, "transName": name, "transType": "Simulation", "inputMetaQuery": {"a": 1}}
                    await service.call(service.context(identity), "addTransformation", new | {"addFiles": False})
                    await service.call(service.context(identity), "addFilesToTransformation", [name, [LFN]])
                    await service.call(service.context(identity), "extendTransformation", [name, 2])
                    await service.call(service.context(identity), "setTransformationParameter", [name, "Note", 1])
            manager = service.context(Identity("x", "y", (MANAGE,)))
            await service.call(manager, "catalog.addFields", [{"a": "int"}])
            await service.call(manager, "startBulk", ["tasks", {}, "setStatus", {"status": "Created"}, False])
            await service.call(manager, "cancelBulk", [1])
            await service.call(manager, "catalog.addFiles", [{LFN: {"a": 1}}])
            storage.keeps = False
            async with listening(service, bound, tls.server_context(settings)) as url:
                credentials = {c.name: pki.user(ca, _dn(c.name)) for c in CALLERS if not c.anonymous}
                yield Running(url, folder, credentials, service.registry)


async def _ask(running: Running, caller: Caller, calls: list[Any], headers: dict[str, str], path: Path | None) -> Any:
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        for number, (method, params, _) in enumerate(calls)
    ]
    if caller.claims is not None:
        headers = {**headers, "X-TM-Group": caller.claims}
    context = client_context(running.folder / "ca.pem", path)
    headers = {**headers, "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url, data=json.dumps(batch).encode(), headers=headers, ssl=context) as answer,
    ):
        assert answer.status == 200
        answers = {item["id"]: item for item in await answer.json()}
    return [answers[number].get("error", {}).get("data", {}).get("type", "ok") for number in range(len(calls))]


@pytest.mark.asyncio(loop_scope="module")
async def test_every_method_is_in_the_table(running: Running) -> None:
    table = [*RIGHT, *READ, *WITHOUT_TARGET, *ANNOUNCEMENTS, *FOR_CATALOGS, *OPERATIONS, *FOR_ALL, "addTransformation"]
    assert sorted(table) == sorted(method.name for method in running.registry)


# hosts have certificates only
WAYS = [(caller, "certificate") for caller in CALLERS] + [(caller, "token") for caller in CALLERS if not caller.host]


@pytest.mark.parametrize(("caller", "way"), WAYS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.asyncio(loop_scope="module")
async def test_table(running: Running, caller: Caller, way: str) -> None:
    calls = calls_of(caller)
    headers, path = {}, None
    if caller.anonymous:
        pass
    elif way == "certificate":
        path = running.credentials[caller.name].write(running.folder, "client")
    else:
        headers = {"Authorization": f"Bearer {running.subject(caller)}"}
    found = await _ask(running, caller, calls, headers, path)
    wrong = [
        f"{method}({params}): {what} instead of {expected}"
        for (method, params, expected), what in zip(calls, found, strict=True)
        if what != expected
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.asyncio(loop_scope="module")
async def test_bad_credentials_refuse_the_whole_request(running: Running) -> None:
    limited = pki.proxy(running.credentials["member of managers"], policy=pki.LIMITED)
    good = running.credentials["member of managers"]
    for credential, headers in (
        (None, {"Authorization": "Bearer nonsense"}),
        (good, {"X-TM-Group": "managers, visitors"}),
        (limited, {}),
    ):
        path = None if credential is None else credential.write(running.folder, "client")
        context = client_context(running.folder / "ca.pem", path)
        # ping, which is open to everybody, twice in a batch
        batch = [{"jsonrpc": "2.0", "id": 1, "method": "ping"}] * 2
        async with (
            aiohttp.ClientSession() as session,
            session.post(running.url, json=batch, headers=headers, ssl=context) as answer,
        ):
            content = await answer.json()
            if credential is good:
                assert [item["error"]["data"]["type"] for item in content] == ["Forbidden"] * 2
                continue
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert (content["id"], content["error"]["code"]) == (None, -32001)
            assert content["error"]["data"]["type"] == "Unauthenticated"
            assert content["error"]["data"]["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.asyncio(loop_scope="module")
async def test_reasons(running: Running) -> None:
    for name, reason in (
        ("suspended", "suspended is suspended"),
        ("groupless", "groupless is in no group"),
        ("unknown", f"{_dn('unknown')} is not in the registry"),
    ):
        context = client_context(running.folder / "ca.pem", running.credentials[name].write(running.folder, "client"))
        call = {"jsonrpc": "2.0", "id": 1, "method": "whoami"}
        async with aiohttp.ClientSession() as session, session.post(running.url, json=call, ssl=context) as answer:
            assert answer.status == 200
            error = (await answer.json())["error"]
        assert (error["code"], error["data"]["type"], error["data"]["reason"]) == (-32001, "Unauthenticated", reason)
