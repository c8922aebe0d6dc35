"""Tokens for development and tests: a key, its JSON Web Key Set, and tokens signed with it."""

import json
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import click
import jwt
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ..auth.jwks import ALGORITHMS
from ..core.errors import ConfigurationError

ISSUER = "https://issuer.localhost"
AUDIENCE = "jsonrpc-tm"
KEY, KEY_SET = "token.key", "jwks.json"
_KINDS = {"RSA": rsa.RSAPrivateKey, "EC": ec.EllipticCurvePrivateKey, "OKP": ed25519.Ed25519PrivateKey}
_LONGEST = 10 * 365 * 86400
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make_key(algorithm: str) -> Key:
    """Return a new private key for a signature algorithm of ``jwks.ALGORITHMS``."""
    match ALGORITHMS[algorithm]:
        case "RSA":
            return rsa.generate_private_key(65537, 2048)
        case "EC":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: Key, algorithm: str) -> dict[str, Any]:
    """Return the public half of *key* as a JSON Web Key, named after its fingerprint."""
    public = key.public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    made: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    return {**made, "kid": digest.finalize()[:12].hex(), "alg": algorithm, "use": "sig"}


def sign(key: Key, algorithm: str, claims: Mapping[str, Any]) -> str:
    """Return a token with *claims* and the key's id in its header."""
    return jwt.encode(dict(claims), key, algorithm, {"kid": public_jwk(key, algorithm)["kid"]})


def issue(
    folder: Path,
    subject: str,
    *,
    issuer: str = ISSUER,
    audience: str = AUDIENCE,
    lifetime: int = 3600,
    algorithm: str = "ES256",
    claims: Mapping[str, Any] = {},
) -> str:
    """Return a token, signed with the folder's key; key and key set are made when they lack.

    :param lifetime: seconds until the token ends.
    :param claims: further claims, in place of those that are there anyway.
    :raises ConfigurationError: the folder cannot be used, or its key is for another algorithm.
    """
    key = _key(folder, algorithm)
    now = datetime.now(UTC)
    standard = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + timedelta(seconds=lifetime),
        "jti": uuid.uuid4().hex,
    }
    return sign(key, algorithm, {**standard, **claims})


def _key(folder: Path, algorithm: str) -> Key:
    path = folder / KEY
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            try:
                key: Any = serialization.load_pem_private_key(path.read_bytes(), None)
            except (ValueError, TypeError):
                raise ConfigurationError(f"{path} is no private key without a password; use another folder") from None
            if not isinstance(key, _KINDS[ALGORITHMS[algorithm]]):
                raise ConfigurationError(f"the key {path} is not for {algorithm}; use another folder")
            return cast(Key, key)
        made = make_key(algorithm)
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(pem)
        (folder / KEY_SET).write_text(json.dumps({"keys": [public_jwk(made, algorithm)]}, indent=1) + "\n")
        return made
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be used: {error.strerror}") from None


@click.command("token")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--user", required=True, help="Subject of the token, and its preferred_username.")
@click.option("--group", help="DIRAC group (claim dirac_group).")
@click.option("--property", "properties", multiple=True, help="DIRAC property (claim dirac_properties); repeatable.")
@click.option("--issuer", default=ISSUER, show_default=True, help="Claim iss.")
@click.option("--audience", default=AUDIENCE, show_default=True, help="Claim aud.")
@click.option(
    "--lifetime",
    type=click.IntRange(1, _LONGEST),
    default=3600,
    show_default=True,
    help="Seconds until the token ends.",
)
@click.option("--algorithm", type=click.Choice(list(ALGORITHMS)), default="ES256", show_default=True)
def command(
    folder: Path,
    user: str,
    group: str | None,
    properties: tuple[str, ...],
    issuer: str,
    audience: str,
    lifetime: int,
    algorithm: str,
) -> None:
    """Make a token for development and print it.

    FOLDER gets a private key and the key set (jwks.json) that a server needs to accept the token; later tokens
    are signed with the same key. What to write into the server's configuration goes to stderr.
    """
    claims: dict[str, Any] = {"preferred_username": user}
    if group is not None:
        claims |= {"dirac_group": group, "dirac_properties": list(properties)}
    token = issue(folder, user, issuer=issuer, audience=audience, lifetime=lifetime, algorithm=algorithm, claims=claims)
    entry: dict[str, Any] = {"issuer": issuer, "audience": audience, "jwks": str((folder / KEY_SET).resolve())}
    if group is not None:
        entry["preset"] = "diracx"
    click.echo(yaml.safe_dump({"authentication": ["x509", {"jwt": {"issuers": [entry]}}]}, sort_keys=False), err=True)
    click.echo(token)
