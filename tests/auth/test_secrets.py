"""No key or token in any log, error, audit line or ``whoami``."""

import base64
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import trustme

from jsonrpc_tm import app
from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.http import tls
from jsonrpc_tm.http.listener import bind
from jsonrpc_tm.http.server import listening

from . import pki
from .conftest import ALICE, REGISTRY, client_context
from .jwts import KEYS, claims, key_set, token
from .test_jwt import BAD

CALLS = [
    ("whoami", []),
    ("ping", []),
    ("getTransformation", ["nothing"]),
    ("getTransformations", [{"Nonsense": 1}]),
    ("deleteTransformation", ["nothing"]),
    ("noSuchMethod", []),
    ("addTransformation", [1]),
]


async def _talk(session: aiohttp.ClientSession, url: str, context: Any, headers: dict[str, str]) -> list[str]:
    """Make every call and return all that came back, headers included."""
    told = []
    for method, params in CALLS:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with session.post(url, json=body, headers=headers, ssl=context) as answer:
            told.append(f"{answer.headers} {await answer.text()}")
    return told


async def test_secrets_stay_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server_key = ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    server_key.write_to_path(tmp_path / "server.pem")
    (tmp_path / "jwks.json").write_text(key_set())
    alice = pki.user(ca, ALICE)
    mallory = pki.user(ca, "/DC=org/DC=example/CN=mallory")
    proxy = pki.proxy(alice, group="prod")
    limited = pki.proxy(alice, policy=pki.LIMITED)
    credentials = [alice, mallory, proxy, limited, pki.user(trustme.CA(), ALICE)]

    good = [token(algorithm) for algorithm in KEYS] + [token(sub=name) for name in ("sleepy-sub", "mallory")]
    bad = [text for make in BAD.values() if len(text := make()) > 20]

    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    settings, plugins = app.configure(
        None,
        {},
        {
            "storage.url": "sqlite://:memory:",
            "server.tls.mode": "files",
            "server.tls.certificate": str(tmp_path / "server.pem"),
            "server.tls.client_ca": str(tmp_path / "ca.pem"),
            "authentication": [
                {"x509": {"proxies": True, "balancers": ["127.0.0.1"]}},
                {"jwt": {"issuers": [{**_issuer(), "jwks": str(tmp_path / "jwks.json")}]}},
            ],
            "audit_log.enabled": True,
            "audit_log.path": str(tmp_path / "audit.jsonl"),
            **REGISTRY,
        },
    )
    service = app.build_service(settings, plugins=plugins)
    with bind("127.0.0.1", 0) as bound:
        async with (
            service,
            listening(service, bound, tls.server_context(settings)) as url,
            aiohttp.ClientSession() as session,
        ):
            plain = client_context(tmp_path / "ca.pem")
            for text in [*good, *bad]:
                told += await _talk(session, url, plain, {"Authorization": f"Bearer {text}"})
            for credential in credentials:
                forwarded = {"X-SSL-CERT": quote(credential.pem), "X-SSL-CLIENT-VERIFY": "SUCCESS"}
                told += await _talk(session, url, plain, forwarded)
                context = client_context(tmp_path / "ca.pem", credential.write(tmp_path, "client"))
                try:
                    told += await _talk(session, url, context, {"X-TM-Group": "prod"})
                except aiohttp.ClientError:
                    told.append("refused in the handshake")
            # a key where a token is expected, by mistake
            key = base64.b64encode(devcerts.pem(alice.key)).decode()
            told += await _talk(session, url, plain, {"Authorization": f"Bearer {key}"})

    written = "\n".join([caplog.text, *told, (tmp_path / "audit.jsonl").read_text()])
    assert "alice" in written
    assert '"authentication":"proxy"' in written
    assert '"authentication":"jwt"' in written
    secrets = {part for text in [*good, *bad, key] for part in [text, *text.split(".")] if len(part) > 20}
    keys = [server_key.bytes(), *(devcerts.pem(credential.key) for credential in credentials)]
    secrets |= {
        line for pem in keys for line in pem.decode().splitlines() if len(line) > 20 and "BEGIN CERT" not in line
    }
    certificates = {line for line in server_key.bytes().decode().splitlines() if "-----" in line}
    assert [secret for secret in secrets - certificates if secret in written] == []


def _issuer() -> dict[str, Any]:
    return {"issuer": claims()["iss"], "audience": claims()["aud"]}
