"""Bearer tokens: good ones, and every way of making a bad one."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from multidict import CIMultiDict

from jsonrpc_tm.auth.jwks import ALGORITHMS
from jsonrpc_tm.auth.jwt import Tokens
from jsonrpc_tm.tools import tokens

from .conftest import Site
from .jwts import ISSUER, KEYS, KID, OTHER, PEM, ask, claims, encode, entry, hmac_token, public_key, serve, token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_good_token(jwks: Site, algorithm: str) -> None:
    text = token(algorithm, exp=END.timestamp())
    async with serve(jwks) as server:
        for _ in range(2):  # the second comes from the cache
            who = (await ask(jwks, server, text)).identity
            assert who is not None
            assert (who.username, who.group, who.properties) == ("alice", "prod", ("ProductionManagement",))
            assert (who.subject, who.dn, who.authentication) == ("alice-sub", None, "jwt")
            assert who.expires == END


async def test_tokens_are_verified_once(jwks: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonrpc_tm.auth.jwt.CACHE", 2)
    seen: list[str] = []
    verify = Tokens._verify

    async def counted(self: Tokens, text: str) -> Any:
        seen.append(text)
        return await verify(self, text)

    monkeypatch.setattr(Tokens, "_verify", counted)
    one, two, three = (token(jti=str(number)) for number in range(3))
    async with serve(jwks) as server:
        for text in (one, two, one, two, three, one, three):
            assert (await ask(jwks, server, text)).status == 200
    # the third pushed out the first, which pushed out the second
    assert seen == [one, two, three, one]


async def test_choosing_and_claiming_groups(jwks: Site) -> None:
    async with serve(jwks) as server:
        who = (await ask(jwks, server, token(), **{"X-TM-Group": "analysis"})).identity
        assert who is not None
        assert (who.group, who.properties) == ("analysis", ("ProductionUser",))
        who = (await ask(jwks, server, token(), **{"X-TM-Group": "admin"})).identity
        assert who is not None
        assert who.refused is not None


async def test_unknown_suspended_and_groupless_users(jwks: Site) -> None:
    async with serve(jwks) as server:
        for subject, reason in [
            ("mallory", "The token's subject 'mallory' is not in the registry"),
            ("sleepy-sub", "sleepy is suspended"),
            ("loner-sub", "loner is in no group"),
            (None, "The token's subject None is not in the registry"),
        ]:
            who = (await ask(jwks, server, token(sub=subject))).identity
            assert who is not None
            assert (who.authenticated, who.reason, who.properties) == (False, reason, ())


async def test_no_token(jwks: Site) -> None:
    async with serve(jwks) as server:
        unused = "the header Authorization has no credentials of a kind that this server takes"
        for headers, reason in (
            ({}, "no credentials were shown"),
            ({"Authorization": "Basic YWxpY2U6c2VjcmV0"}, unused),
            ({"Authorization": ""}, unused),
        ):
            who = (await jwks.ask(server, headers=headers)).identity
            assert who is not None
            assert who.reason == reason


async def test_a_token_for_a_server_that_takes_none(jwks: Site) -> None:
    async with jwks.server([{"x509": {}}]) as server:
        who = (await jwks.ask(server, headers={"Authorization": f"Bearer {token()}"})).identity
        assert who is not None
        assert who.reason == "the header Authorization has no credentials of a kind that this server takes"


def _tampered(part: int) -> str:
    parts = token().split(".")
    raw = base64.urlsafe_b64decode(parts[part] + "==")
    changed = raw.replace(b"alice-sub", b"admin-sub") if part == 1 else bytes([raw[0], raw[1], raw[2] ^ 1, *raw[3:]])
    parts[part] = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
    return ".".join(parts)


END = datetime(2100, 1, 1, tzinfo=UTC)
NOW = int(datetime.now(UTC).timestamp())  # when the tests were collected
DER = public_key(serialization.Encoding.DER)
JWK = json.dumps(tokens.public_jwk(KEYS["RS256"], "RS256")).encode()
BAD = {
    "expired": lambda: token(exp=NOW - 31),
    "without end": lambda: token(exp=None),
    "end as text": lambda: token(exp=str(NOW + 100)),
    "end as truth": lambda: token(exp=True),
    "end beyond all times": lambda: token(exp=1e300),
    "negative end": lambda: token(exp=-1),
    "end null": lambda: encode_signed({**claims(), "exp": None}),
    "not yet valid": lambda: token(nbf=NOW + 10**6),
    "start as text": lambda: token(nbf="0"),
    "start null": lambda: encode_signed({**claims(), "nbf": None}),
    "wrong audience": lambda: token(aud="other"),
    "wrong audiences": lambda: token(aud=["other", "tm2"]),
    "audience as object": lambda: token(aud={"tm": True}),
    "audience as list of objects": lambda: token(aud=["tm", {}]),
    "without audience": lambda: token(aud=None),
    "wrong issuer": lambda: token(iss="https://evil.example.org"),
    "issuer with a slash more": lambda: token(iss=ISSUER + "/"),
    "issuer as list": lambda: encode_signed({**claims(), "iss": [ISSUER]}),
    "without issuer": lambda: token(iss=None),
    "subject as number": lambda: encode_signed({**claims(), "sub": 7}),
    "empty subject": lambda: token(sub=""),
    "subject with NUL": lambda: token(sub="alice-sub\0"),
    "none": lambda: encode({"alg": "none", "typ": "JWT"}, claims()),
    "None": lambda: encode({"alg": "None"}, claims()),
    "none with a key id": lambda: encode({"alg": "none", "kid": KID}, claims()),
    "none with a signature": lambda: encode({"alg": "none"}, claims(), b"x" * 64),
    "without algorithm": lambda: encode({"kid": KID}, claims(), b"x" * 64),
    "algorithm as list": lambda: encode({"alg": ["RS256"]}, claims(), b"x" * 64),
    "HMAC with the public key, PEM": lambda: hmac_token(PEM, {"alg": "HS256", "kid": KID}),
    "HMAC with the public key, PEM, stripped": lambda: hmac_token(PEM.strip(), {"alg": "HS256", "kid": KID}),
    "HMAC with the public key, DER": lambda: hmac_token(DER, {"alg": "HS256", "kid": KID}),
    "HMAC with the public key, JWK": lambda: hmac_token(JWK, {"alg": "HS256", "kid": KID}),
    "HMAC that calls itself RS256": lambda: hmac_token(PEM, {"alg": "RS256", "kid": KID}),
    "HMAC with nothing": lambda: hmac_token(b"", {"alg": "HS256"}),
    "another algorithm than its key's": lambda: jwt.encode(claims(), KEYS["RS256"], "PS256", {"kid": KID}),
    "unlisted algorithm": lambda: jwt.encode(claims(), KEYS["RS256"], "RS512", {"kid": KID}),
    "another key's id": lambda: jwt.encode(claims(), OTHER["ES256"], "ES256", {"kid": _kid("ES256")}),
    "the id of a key of another type": lambda: jwt.encode(claims(), KEYS["ES256"], "ES256", {"kid": KID}),
    "unknown key": lambda: token(key=OTHER["ES256"]),
    "unknown key without id": lambda: jwt.encode(claims(), OTHER["ES256"], "ES256"),
    "key id as number": lambda: encode({"alg": "ES256", "kid": 1}, claims(), b"x" * 64),
    "its own key in the header": lambda: jwt.encode(
        claims(), OTHER["ES256"], "ES256", {"kid": "x", "jwk": tokens.public_jwk(OTHER["ES256"], "ES256")}
    ),
    "a key of the attacker's site": lambda: jwt.encode(
        claims(), OTHER["ES256"], "ES256", {"kid": "x", "jku": "https://evil.example.org/jwks.json"}
    ),
    "unknown critical header": lambda: jwt.encode(
        claims(), KEYS["ES256"], "ES256", {"kid": _kid("ES256"), "crit": ["exp"]}
    ),
    "tampered header": lambda: _tampered(0),
    "tampered claims": lambda: _tampered(1),
    "tampered signature": lambda: _tampered(2),
    "without signature": lambda: token().rpartition(".")[0] + ".",
    "two parts": lambda: token().rpartition(".")[0],
    "four parts": lambda: token() + ".x",
    "nothing": lambda: "",
    "one point": lambda: ".",
    "two points": lambda: "..",
    "no base64": lambda: "§§.ä.%",
    "no JSON": lambda: encode(b"{", b"{"),
    "a list": lambda: encode([], []),
    "deep nesting": lambda: encode({"alg": "ES256"}, b'{"a":' * 1500 + b"1" + b"}" * 1500),
    "an opened string": lambda: encode(b'{"alg":"ES256', claims()),
}


def _kid(algorithm: str) -> str:
    return str(tokens.public_jwk(KEYS[algorithm], algorithm)["kid"])


def encode_signed(content: dict[str, Any]) -> str:
    """Sign claims that PyJWT would not."""
    return jwt.PyJWS().encode(json.dumps(content).encode(), KEYS["ES256"], "ES256", {"kid": _kid("ES256")})


async def test_bad_tokens(jwks: Site) -> None:
    passed = []
    async with serve(jwks) as server:
        assert (await ask(jwks, server, token())).status == 200
        for name, make in BAD.items():
            who = await ask(jwks, server, make())
            if who.status != 401:
                passed.append(name)
            assert "." not in who.message.rstrip("."), who.message  # no part of the token
    assert not passed


async def test_two_authorization_headers(jwks: Site) -> None:
    headers = CIMultiDict([("Authorization", f"Bearer {token()}"), ("Authorization", f"Bearer {token()}")])
    async with serve(jwks) as server:
        assert (await jwks.ask(server, headers=headers)).status == 401


async def test_leeway_of_30_seconds(jwks: Site) -> None:
    end = int(jwks.clock.now.timestamp()) + 100
    late, early = token(exp=end), token(nbf=end)
    async with serve(jwks) as server:
        for seconds, text, status in [(29, late, 200), (30, late, 401), (-31, early, 401), (-30, early, 200)]:
            jwks.clock.now = datetime.fromtimestamp(end, UTC) + timedelta(seconds=seconds)
            assert (await ask(jwks, server, text)).status == status, seconds


async def test_token_that_ends_while_it_is_cached(jwks: Site) -> None:
    text = token()
    async with serve(jwks) as server:
        assert (await ask(jwks, server, text)).status == 200
        jwks.clock.now += timedelta(hours=2)
        who = await ask(jwks, server, text)
    assert (who.status, who.message) == (401, "The token has expired")


async def test_bad_token_does_not_become_an_anonymous_call_or_the_certificates(jwks: Site) -> None:
    options = {"issuers": [entry(jwks=str(jwks.folder / "jwks.json"))]}
    async with jwks.server([{"jwt": options}, {"x509": {}}]) as server:
        headers = {"Authorization": f"Bearer {token(exp=NOW - 100)}"}
        assert (await jwks.ask(server, jwks.user(), headers)).status == 401
        # without a token the certificate counts
        who = (await jwks.ask(server, jwks.user())).identity
        assert who is not None
        assert who.authentication == "x509"


async def test_order_of_the_configuration(jwks: Site) -> None:
    options = {"issuers": [entry(jwks=str(jwks.folder / "jwks.json"))]}
    headers = {"Authorization": f"Bearer {token(sub='bob-sub')}"}
    for authentication, username in [
        ([{"jwt": options}, {"x509": {}}], "bob"),
        ([{"x509": {}}, {"jwt": options}], "alice"),
    ]:
        async with jwks.server(authentication) as server:
            who = (await jwks.ask(server, jwks.user(), headers)).identity
            assert who is not None
            assert who.username == username
