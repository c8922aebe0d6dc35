"""Public keys of token issuers: JSON Web Key Sets (RFC 7517) from a file or URL."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from ..core.addresses import is_loopback
from ..core.errors import ConfigurationError, Unavailable
from .changed_files import fingerprint

logger = logging.getLogger(__name__)

ALGORITHMS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""Algorithms that may be configured, with the type of their keys. All asymmetric: a public key never checks an HMAC."""

TIMEOUT = 5.0
MAX_SIZE = 2**20
MIN_INTERVAL = 30.0
MIN_RSA_BITS = 2048


class KeySet:
    """The keys of one issuer, cached.

    :param source: file, or ``https://`` URL (``http://`` on loopback only).
    :param refresh: seconds after which a URL is asked again.
    :param min_interval: least seconds between two requests, whatever tokens come in.
    :raises ConfigurationError: the file cannot be used, or the URL is neither https nor loopback.
    """

    def __init__(self, source: Path | str, *, refresh: float = 3600, min_interval: float = MIN_INTERVAL) -> None:
        self.source = source
        self._refresh = refresh
        self._min_interval = min_interval
        self._keys: list[Mapping[str, Any]] = []
        self._asked = self._loaded = -float("inf")
        self._failed = False
        self._lock = asyncio.Lock()
        if isinstance(source, Path):
            self._seen = fingerprint([source])
            self._keys = _read(source)
        elif not _safe(source):
            raise ConfigurationError(f"{source}: keys come over https only (http on loopback)")

    async def find(self, kid: str | None, algorithm: str) -> list[PyJWK]:
        """Return the keys that may have made a signature; usually one, none when the issuer has no such key.

        :param kid: key id from the token's header; None takes every key of the algorithm's type.
        :raises Unavailable: there is none, and the last try to get the issuer's keys failed.
        """
        if self._due(self._refresh, self._loaded):
            await self._load()
        found = self._pick(kid, algorithm)
        if not found:
            # a key that is new at the issuer
            await self._load()
            found = self._pick(kid, algorithm)
        if not found and self._failed:
            raise Unavailable("The keys of the token's issuer cannot be had at present")
        return found

    def _pick(self, kid: str | None, algorithm: str) -> list[PyJWK]:
        loaded = (_usable(key, algorithm) for key in self._keys if _fits(key, kid, algorithm))
        return [key for key in loaded if key is not None]

    @staticmethod
    def _due(interval: float, since: float) -> bool:
        return monotonic() - since >= interval

    async def _load(self) -> None:
        """Get the keys again if they may be asked for; those there are stay when that fails."""
        async with self._lock:
            if isinstance(self.source, Path):
                self._reread(self.source)
            elif self._due(self._min_interval, self._asked):
                self._asked = monotonic()
                try:
                    self._keys = await _fetch(self.source)
                    self._loaded, self._failed = monotonic(), False
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                    self._failed = True
                    logger.warning("keys of %s cannot be had: %s", self.source, type(error).__name__)

    def _reread(self, path: Path) -> None:
        self._loaded = monotonic()
        if (seen := fingerprint([path])) != self._seen:
            self._seen = seen
            try:
                self._keys, self._failed = _read(path), False
            except ConfigurationError as error:
                self._failed = True
                logger.warning("%s; the keys read before stay in use", error)


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path} is not a JSON Web Key Set") from None


def _parse(content: bytes) -> list[Mapping[str, Any]]:
    document = orjson.loads(content)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError("not a JSON Web Key Set")
    # a secret key in a published set, or a private one, must not sit in memory
    return [{name: value for name, value in key.items() if name not in _PRIVATE} for key in keys]


_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def _fits(key: Mapping[str, Any], kid: str | None, algorithm: str) -> bool:
    return (
        key.get("kty") == ALGORITHMS[algorithm]
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and "verify" in key.get("key_ops", ("verify",))
        and (kid is None or key.get("kid") == kid)
    )


def _usable(key: Mapping[str, Any], algorithm: str) -> PyJWK | None:
    try:
        loaded = PyJWK(dict(key), algorithm=algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    public = loaded.key
    if isinstance(public, RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        return None
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name != "secp256r1":
        return None
    return loaded


async def _fetch(url: str) -> list[Mapping[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    # no redirects: the answer decides who may come in, and must come from where the configuration says
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False, ssl=ssl.create_default_context()) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        content = b""
        async for chunk in answer.content.iter_chunked(65536):
            content += chunk
            if len(content) > MAX_SIZE:
                raise ValueError("too large")
    return _parse(content)


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")
