"""Authentication by bearer tokens: signed JSON Web Tokens (RFC 7519) of configured issuers."""

import hashlib
import logging
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import orjson
from jwt import PyJWS
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode
from marshmallow import ValidationError

from ..core import fields
from ..core.errors import BadCredentials, ConfigurationError
from ..core.identity import Credentials, Identity, Users
from ..core.problems import Problems
from ..core.values import BadValue
from ..parts import AuthenticatorFactory, Parts
from ..plugin.marker import hookimpl
from ..settings.types import Record, Seconds
from .headers import AUTHORIZATION, GROUP, single
from .jwks import ALGORITHMS, KeySet
from .options import checked, index_of
from .users import admit

logger = logging.getLogger(__name__)

LEEWAY = 30
"""Seconds that clocks may differ."""
CACHE = 10_000
"""Most verified tokens kept."""

TYPES = ("", "JWT", "at+jwt")
"""What a token's header ``typ`` may be by default, ``""`` for none. Others are no access tokens, whoever signed them
(RFC 8725, section 3.11)."""

PRESETS: Mapping[str, Mapping[str, str]] = {
    "registry": {"subject": "sub"},
    # the access tokens of diracx (diracx-core, models/auth: AccessTokenPayload)
    "diracx": {
        "subject": "sub",
        "username": "preferred_username",
        "group": "dirac_group",
        "properties": "dirac_properties",
    },
}
_ISSUER = {
    "issuer": fields.Text(None, empty=False, required=True),
    "audience": fields.Texts(1000, single=True, load_default=list),
    "jwks": fields.Text(4096, empty=False, required=True),
    "algorithms": fields.Texts(load_default=lambda: list(ALGORITHMS)),
    "preset": fields.Choice(*PRESETS, load_default="registry"),
    "types": fields.Texts(empty=True, load_default=lambda: list(TYPES)),
    "claims": Record({name: fields.Text(empty=False) for name in PRESETS["diracx"]}, load_default=dict),
    "refresh": Seconds(load_default=3600),
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are accepted.

    :param name: the claim ``iss``, exactly.
    :param audiences: what the claim ``aud`` must have one of; empty: the token must have no ``aud``.
    :param algorithms: signature algorithms, from ``jwks.ALGORITHMS``.
    :param types: what the header ``typ`` may be, in the form of ``_type``.
    :param claims: claim by fact: ``subject``, and where the issuer is trusted with them ``username``, ``group``,
        ``properties``.
    """

    name: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    types: frozenset[str | None]
    claims: Mapping[str, str]
    keys: KeySet


class Tokens:
    """Identifies callers by ``Authorization: Bearer``.

    :param users: the registry.
    :param issuers: by name.
    """

    name = "jwt"

    def __init__(self, users: Users, issuers: Mapping[str, Issuer]) -> None:
        self._users = users
        self._issuers = issuers
        # by digest: who reads the memory should find no tokens
        self._verified: dict[bytes, tuple[Issuer, Mapping[str, Any]]] = {}

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the caller that the token names, None without a token.

        :raises BadCredentials: the token is not good.
        :raises Unavailable: nobody can tell, because its issuer's keys cannot be had.
        """
        header = single(credentials.headers, AUTHORIZATION)
        if header is None or header.split(None, 1)[0].lower() != "bearer":
            return None
        token = header[len("bearer") :].strip()
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        now = credentials.now.timestamp()
        known = self._verified.get(digest)
        if known is None:
            known = await self._verify(token)
        issuer, claims = known
        if now >= claims["exp"] + LEEWAY:
            self._verified.pop(digest, None)
            raise BadCredentials("The token has expired")
        if now < claims.get("nbf", 0) - LEEWAY:
            raise BadCredentials("The token is not valid yet")
        if digest not in self._verified:
            while len(self._verified) >= CACHE:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = known
        return self._identity(issuer, claims, single(credentials.headers, GROUP))

    async def _verify(self, token: str) -> tuple[Issuer, Mapping[str, Any]]:
        """Return a token's issuer and claims when signature, issuer, audience and the claims' types are right."""
        header, payload = _peek(token)
        issuer = self._issuers.get(payload["iss"]) if isinstance(payload.get("iss"), str) else None
        if issuer is None:
            raise BadCredentials("The token is of an issuer that is not accepted")
        algorithm, kid = header.get("alg"), header.get("kid")
        # the token names the algorithm, but may only pick from the configuration's list
        if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
            raise BadCredentials("The token's algorithm is not accepted")
        if _type(header.get("typ", "")) not in issuer.types:
            raise BadCredentials("The token's type is not accepted")
        if "crit" in header or (kid is not None and not isinstance(kid, str)):
            raise BadCredentials("The token's header is not understood")
        for key in await issuer.keys.find(kid, algorithm):
            try:
                PyJWS().decode_complete(token, key=key, algorithms=[algorithm])
            except (PyJWTError, ValueError, TypeError):
                continue
            return issuer, _sound(payload, issuer)
        raise BadCredentials("The token's signature is not one of its issuer's")

    def _identity(self, issuer: Issuer, claims: Mapping[str, Any], claimed: str | None) -> Identity:
        subject = _text(claims, issuer.claims["subject"])
        username = _text(claims, issuer.claims.get("username"))
        group = _text(claims, issuer.claims.get("group"))
        properties = _properties(claims, issuer)
        facts: dict[str, Any] = {
            "subject": subject,
            "authentication": "jwt",
            "expires": datetime.fromtimestamp(claims["exp"], UTC),
        }
        if username is not None:
            user = self._users.by_name(username)
        else:
            user = None if subject is None else self._users.by_subject(issuer.name, subject)
        if username is None or group is None or (user is not None and properties is None):
            return admit(
                self._users, user, who=f"The token's subject {subject!r}", claimed=claimed, proven=group, **facts
            )
        # the issuer vouches for the membership (a claimed group is held against it afterwards); suspending still works
        facts["username"] = username
        if user is not None and user.suspended:
            return Identity(reason=f"{username} is suspended", **facts)
        rights = self._users.properties(group) if properties is None else tuple(properties)
        return Identity(group=group, properties=rights, bound=True, **facts)


def _peek(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims of a token that nobody has verified yet."""
    try:
        header, payload, _ = token.encode("ascii").split(b".")
        parts = [orjson.loads(base64url_decode(part)) for part in (header, payload)]
    except ValueError:
        raise BadCredentials("The token is malformed") from None
    if not all(isinstance(part, dict) for part in parts):
        raise BadCredentials("The token is malformed")
    return parts[0], parts[1]


def _type(name: Any) -> str | None:
    """Return a media type as it is compared (RFC 7515, section 4.1.9); None for what is no text."""
    return name.lower().removeprefix("application/") if isinstance(name, str) else None


def _sound(claims: Mapping[str, Any], issuer: Issuer) -> Mapping[str, Any]:
    """Return the claims if their types are right and they are meant for this server."""
    for name in ("exp", "nbf"):
        value: Any = claims.get(name)
        if value is None and name == "nbf" and name not in claims:
            continue
        # the bound keeps datetime.fromtimestamp from overflowing: the year 9999
        if type(value) not in (int, float) or not 0 <= value < 253402300000:
            raise BadCredentials(f"The token's claim {name} is missing or not a time")
    audience = claims.get("aud", [])
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(item, str) for item in audiences):
        raise BadCredentials("The token's audience is malformed")
    if issuer.audiences.isdisjoint(audiences) and (issuer.audiences or audiences):
        raise BadCredentials("The token is for another audience")
    properties = _properties(claims, issuer)
    if not isinstance(properties, list | type(None)) or not all(isinstance(item, str) for item in properties or ()):
        raise BadCredentials("The token's properties are not a list of texts")
    return claims


def _properties(claims: Mapping[str, Any], issuer: Issuer) -> Any:
    return claims.get(issuer.claims["properties"]) if "properties" in issuer.claims else None


def _text(claims: Mapping[str, Any], name: str | None) -> str | None:
    value = claims.get(name) if name is not None else None
    if value is not None and (not isinstance(value, str) or not value or "\0" in value):
        raise BadCredentials(f"The token's claim {name} is not a text")
    return value


class _Factory:
    """Makes the authenticator from its entry in ``authentication``."""

    name = Tokens.name

    def __call__(self, options: Mapping[str, Any], parts: Parts) -> Tokens:
        """Return the authenticator.

        :raises ConfigurationError: the options are wrong.
        """
        settings = parts.settings
        issuers: dict[str, Issuer] = {}
        problems = Problems()
        place = index_of(settings, self.name, options)
        for index, entry in enumerate(
            checked(settings, self.name, options, {"issuers": _Issuers(required=True)})["issuers"]
        ):
            try:
                issuers[entry["issuer"]] = _issuer(entry, settings.folder)
            except ConfigurationError as error:
                keys = (place, self.name, "issuers", index, "jwks")
                problems.note(str(settings.wrong("authentication", *keys, message=str(error))))
        problems.tell()
        if len(issuers) > 1 and (names := getattr(parts.users, "of_any_issuer", [])):
            logger.warning(
                "several issuers are accepted, and each can issue the subjects of %s: write the issuer before them",
                ", ".join(names[:10]) + (" …" if len(names) > 10 else ""),
            )
        return Tokens(parts.users, issuers)


class _Issuers(fields.Field):
    """A list of issuers, at least one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[dict[str, Any]]:
        if type(value) is not list or not value:
            raise BadValue("Must be a list of issuers.")
        record = Record(_ISSUER)
        found: list[dict[str, Any]] = []
        errors: dict[int, Any] = {}
        for index, item in enumerate(value):
            try:
                entry = record.deserialize(item) or {}
            except ValidationError as error:
                errors[index] = error.messages
                continue
            if wrong := _contradictions(entry, [other["issuer"] for other in found]):
                errors[index] = wrong
            found.append(entry)
        if errors:
            raise BadValue(errors)
        return found


def _contradictions(entry: Mapping[str, Any], known: Container[str]) -> dict[str, list[str]]:
    """Return what is wrong with an issuer whose options are right each by itself, by option."""
    wrong = {}
    if entry["issuer"] in known:
        wrong["issuer"] = ["The issuer is there already."]
    if unknown := sorted(set(entry["algorithms"]) - set(ALGORITHMS)):
        wrong["algorithms"] = [f"Must be some of {', '.join(ALGORITHMS)}, not {', '.join(unknown)}."]
    for name in ("algorithms", "types"):
        if not entry[name]:
            wrong[name] = ["Must not be empty."]
    # diracx makes tokens without an audience; everybody else's would be good for any service of the issuer's
    if not entry["audience"] and entry["preset"] != "diracx":
        wrong["audience"] = ["Missing: without it, tokens for other services would do."]
    if "properties" in entry["claims"] and not {"group", "username"} <= _claims(entry).keys():
        wrong["claims"] = ["properties needs group and username."]
    return wrong


def _claims(entry: Mapping[str, Any]) -> dict[str, str]:
    return {**PRESETS[entry["preset"]], **entry["claims"]}


def _issuer(entry: Mapping[str, Any], folder: Path) -> Issuer:
    return Issuer(
        entry["issuer"],
        frozenset(entry["audience"]),
        frozenset(entry["algorithms"]),
        frozenset(map(_type, entry["types"])),
        _claims(entry),
        _key_set(entry["jwks"], folder, entry["refresh"]),
    )


_fetched: WeakValueDictionary[tuple[str, float], KeySet] = WeakValueDictionary()


def _key_set(source: str, folder: Path, refresh: float) -> KeySet:
    """Return the keys of an issuer; those that were fetched are kept over a reload, when the issuer may be away."""
    if "://" not in source:
        return KeySet(folder / source, refresh=refresh)
    known = _fetched.get((source, refresh))
    if known is None:
        known = _fetched[source, refresh] = KeySet(source, refresh=refresh)
    return known


@hookimpl
def register_authenticator() -> Iterable[AuthenticatorFactory]:
    """Provide ``jwt``."""
    yield _Factory()
