"""Tokens and key sets, good ones; tests spoil them."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization

from jsonrpc_tm.auth.jwks import ALGORITHMS
from jsonrpc_tm.tools import tokens

from .conftest import Server, Site, Who

ISSUER, AUDIENCE = "https://idp.example.org/realm", "tm"

# made once: RSA keys take time
KEYS = {algorithm: tokens.make_key(algorithm) for algorithm in ALGORITHMS}
OTHER = {algorithm: tokens.make_key(algorithm) for algorithm in ALGORITHMS}


def public_key(encoding: serialization.Encoding) -> bytes:
    return KEYS["RS256"].public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


KID = tokens.public_jwk(KEYS["RS256"], "RS256")["kid"]
PEM = public_key(serialization.Encoding.PEM)


def key_set(*algorithms: str, **changes: Any) -> str:
    keys = [{**tokens.public_jwk(KEYS[name], name), **changes} for name in algorithms or ALGORITHMS]
    return json.dumps({"keys": keys})


def entry(**options: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "audience": AUDIENCE, "jwks": "jwks.json", **options}


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    content = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice-sub", "exp": int(now.timestamp()) + 3600, **changes}
    return {name: value for name, value in content.items() if value is not None}


def token(algorithm: str = "ES256", key: Any = None, **changes: Any) -> str:
    return tokens.sign(key or KEYS[algorithm], algorithm, claims(**changes))


def encode(header: Any, payload: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(part).encode() if not isinstance(part, bytes) else part for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def hmac_token(key: bytes, header: dict[str, str]) -> str:
    text = encode(header, claims())[:-1]
    signature = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def ask(site: Site, server: Server, text: str, **headers: str) -> Who:
    return await site.ask(server, headers={"Authorization": f"Bearer {text}", **headers})


def serve(site: Site, **options: Any) -> Any:
    options = {"jwks": str(site.folder / "jwks.json"), **options}
    return site.server([{"jwt": {"issuers": [entry(**options)]}}], server__tls__mode="off")
