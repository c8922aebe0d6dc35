"""Bearer tokens: good ones, and every way of making a bad one."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from multidict import CIMultiDict

from jsonrpc_tm.auth import tokens
from jsonrpc_tm.auth.jwks import ALGORITHMS
from jsonrpc_tm.errors import ConfigurationError

from .conftest import Server, Site, Who

ISSUER, AUDIENCE = "https://idp.example.org/realm", "tm"
# made once: RSA keys take time
KEYS = {algorithm: tokens.make_key(algorithm) for algorithm in ALGORITHMS}
OTHER = {algorithm: tokens.make_key(algorithm) for algorithm in ALGORITHMS}


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


async def ask(site: Site, server: Server, text: str, **headers: str) -> Who:
    return await site.ask(server, headers={"Authorization": f"Bearer {text}", **headers})


@pytest.fixture
def jwks(site: Site) -> Site:
    (site.folder / "jwks.json").write_text(key_set())
    return site


def _serve(site: Site, **options: Any) -> Any:
    options = {"jwks": str(site.folder / "jwks.json"), **options}
    return site.server([{"jwt": {"issuers": [entry(**options)]}}], server__tls__mode="off")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_good_token(jwks: Site, algorithm: str) -> None:
    text = token(algorithm, exp=END.timestamp())
    async with _serve(jwks) as server:
        for _ in range(2):  # the second comes from the cache
            who = (await ask(jwks, server, text)).identity
            assert who is not None
            assert (who.username, who.group, who.properties) == ("alice", "prod", ("ProductionManagement",))
            assert (who.subject, who.dn, who.authentication) == ("alice-sub", None, "jwt")
            assert who.expires == END


async def test_choosing_and_claiming_groups(jwks: Site) -> None:
    async with _serve(jwks) as server:
        who = (await ask(jwks, server, token(), **{"X-TM-Group": "analysis"})).identity
        assert who is not None
        assert (who.group, who.properties) == ("analysis", ("ProductionUser",))
        who = (await ask(jwks, server, token(), **{"X-TM-Group": "admin"})).identity
        assert who is not None
        assert who.refused is not None


async def test_unknown_suspended_and_groupless_users(jwks: Site) -> None:
    async with _serve(jwks) as server:
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
    async with _serve(jwks) as server:
        for headers in ({}, {"Authorization": "Basic YWxpY2U6c2VjcmV0"}, {"Authorization": ""}):
            who = (await jwks.ask(server, headers=headers)).identity
            assert who is not None
            assert who.reason == "no credentials were shown"


def _hmac(key: bytes, header: dict[str, str]) -> str:
    text = encode(header, claims())[:-1]
    signature = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _public(kind: serialization.PublicFormat, encoding: serialization.Encoding) -> bytes:
    return KEYS["RS256"].public_key().public_bytes(encoding, kind)


def _tampered(part: int) -> str:
    parts = token().split(".")
    raw = base64.urlsafe_b64decode(parts[part] + "==")
    changed = raw.replace(b"alice-sub", b"admin-sub") if part == 1 else bytes([raw[0], raw[1], raw[2] ^ 1, *raw[3:]])
    parts[part] = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
    return ".".join(parts)


END = datetime(2100, 1, 1, tzinfo=UTC)
NOW = int(datetime.now(UTC).timestamp())
KID = tokens.public_jwk(KEYS["RS256"], "RS256")["kid"]
PEM = _public(serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding.PEM)
DER = _public(serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding.DER)
JWK = json.dumps(tokens.public_jwk(KEYS["RS256"], "RS256")).encode()
BAD = {
    "expired": lambda: token(exp=NOW - 31),
    "without end": lambda: token(exp=None),
    "end as text": lambda: token(exp=str(NOW + 100)),
    "end as truth": lambda: token(exp=True),
    "end beyond all times": lambda: token(exp=1e300),
    "negative end": lambda: token(exp=-1),
    "end null": lambda: encode_signed({**claims(), "exp": None}),
    "not yet valid": lambda: token(nbf=NOW + 120),
    "start as text": lambda: token(nbf="0"),
    "start null": lambda: encode_signed({**claims(), "nbf": None}),
    "wrong audience": lambda: token(aud="other"),
    "wrong audiences": lambda: token(aud=["other", "tm2"]),
    "audience as object": lambda: token(aud={"tm": True}),
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
    "HMAC with the public key, PEM": lambda: _hmac(PEM, {"alg": "HS256", "kid": KID}),
    "HMAC with the public key, PEM, stripped": lambda: _hmac(PEM.strip(), {"alg": "HS256", "kid": KID}),
    "HMAC with the public key, DER": lambda: _hmac(DER, {"alg": "HS256", "kid": KID}),
    "HMAC with the public key, JWK": lambda: _hmac(JWK, {"alg": "HS256", "kid": KID}),
    "HMAC that calls itself RS256": lambda: _hmac(PEM, {"alg": "RS256", "kid": KID}),
    "HMAC with nothing": lambda: _hmac(b"", {"alg": "HS256"}),
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
    async with _serve(jwks) as server:
        assert (await ask(jwks, server, token())).status == 200
        for name, make in BAD.items():
            who = await ask(jwks, server, make())
            if who.status != 401:
                passed.append(name)
            assert "." not in who.message.rstrip("."), who.message  # no part of the token
    assert not passed


async def test_two_authorization_headers(jwks: Site) -> None:
    headers = CIMultiDict([("Authorization", f"Bearer {token()}"), ("Authorization", f"Bearer {token()}")])
    async with _serve(jwks) as server:
        assert (await jwks.ask(server, headers=headers)).status == 401


async def test_leeway_of_30_seconds(jwks: Site) -> None:
    end = int(jwks.clock.now.timestamp()) + 100
    late, early = token(exp=end), token(nbf=end)
    async with _serve(jwks) as server:
        for seconds, text, status in [(29, late, 200), (30, late, 401), (-31, early, 401), (-30, early, 200)]:
            jwks.clock.now = datetime.fromtimestamp(end, UTC) + timedelta(seconds=seconds)
            assert (await ask(jwks, server, text)).status == status, seconds


async def test_token_that_ends_while_it_is_cached(jwks: Site) -> None:
    text = token()
    async with _serve(jwks) as server:
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


# several issuers


async def test_issuers_do_not_speak_for_each_other(site: Site) -> None:
    (site.folder / "jwks.json").write_text(key_set("ES256"))
    other = json.dumps({"keys": [tokens.public_jwk(OTHER["ES256"], "ES256")]})
    (site.folder / "other.json").write_text(other)
    second = "https://second.example.org"
    issuers = [
        entry(jwks=str(site.folder / "jwks.json")),
        entry(issuer=second, audience=["a", "b"], jwks=str(site.folder / "other.json")),
    ]
    async with site.server([{"jwt": {"issuers": issuers}}], server__tls__mode="off") as server:
        assert (await ask(site, server, token())).status == 200
        assert (await ask(site, server, token(key=OTHER["ES256"], iss=second, aud=["x", "b"]))).status == 200
        # the other's key, the other's audience
        assert (await ask(site, server, token(key=OTHER["ES256"]))).status == 401
        assert (await ask(site, server, token(iss=second, aud="a"))).status == 401
        assert (await ask(site, server, token(aud="a"))).status == 401


async def test_subject_of_one_issuer_only(jwks: Site) -> None:
    users = {"zoe": {"subjects": [f"{ISSUER} zoe"], "groups": ["prod"]}, "max": {"subjects": ["https://x.org max"]}}
    options = {"issuers": [entry(jwks=str(jwks.folder / "jwks.json"))]}
    async with jwks.server([{"jwt": options}], registry__users=users) as server:
        for subject, username in [("zoe", "zoe"), ("max", None), (f"{ISSUER} zoe", None)]:
            who = (await ask(jwks, server, token(sub=subject))).identity
            assert who is not None
            assert who.username == username, subject


# claims instead of the registry


def _diracx(**changes: Any) -> str:
    content = {
        "sub": "vo:1",
        "preferred_username": "zoe",
        "dirac_group": "lhcb_prod",
        "dirac_properties": ["ProductionManagement", "NormalUser"],
        **changes,
    }
    return token(**content)


async def test_diracx_preset(jwks: Site) -> None:
    async with _serve(jwks, preset="diracx") as server:
        who = (await ask(jwks, server, _diracx())).identity
        assert who is not None
        assert who.authenticated
        assert (who.username, who.group, who.subject) == ("zoe", "lhcb_prod", "vo:1")
        assert who.properties == ("ProductionManagement", "NormalUser")
        who = (await ask(jwks, server, _diracx(), **{"X-TM-Group": "lhcb_prod"})).identity
        assert who is not None
        assert who.authenticated
        who = (await ask(jwks, server, _diracx(), **{"X-TM-Group": "prod"})).identity
        assert who is not None
        assert (who.refused is not None, who.properties) == (True, ())


async def test_diracx_tokens_have_no_audience(jwks: Site) -> None:
    async with _serve(jwks, preset="diracx", audience=[]) as server:
        assert (await ask(jwks, server, _diracx(aud=None))).status == 200
        assert (await ask(jwks, server, _diracx(aud="somebody else"))).status == 401


async def test_suspended_users_stay_out_with_claims_too(jwks: Site) -> None:
    async with _serve(jwks, preset="diracx") as server:
        who = (await ask(jwks, server, _diracx(preferred_username="sleepy"))).identity
    assert who is not None
    assert (who.authenticated, who.reason, who.properties) == (False, "sleepy is suspended", ())


async def test_claims_fall_back_to_the_registry(jwks: Site) -> None:
    async with _serve(jwks, preset="diracx") as server:
        # no properties: the registry must confirm the membership
        who = await ask(jwks, server, _diracx(preferred_username="bob", dirac_group="analysis", dirac_properties=None))
        assert who.identity is not None
        assert (who.identity.username, who.identity.properties) == ("bob", ("ProductionUser",))
        who = await ask(jwks, server, _diracx(preferred_username="bob", dirac_group="prod", dirac_properties=None))
        assert who.identity is not None
        assert (who.identity.refused is not None, who.identity.properties) == (True, ())
        # no group
        who = await ask(jwks, server, _diracx(preferred_username="bob", dirac_group=None))
        assert who.identity is not None
        assert (who.identity.group, who.identity.properties) == ("analysis", ("ProductionUser",))
        # no name
        who = await ask(jwks, server, token())
        assert who.identity is not None
        assert who.identity.username == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"dirac_properties": "ProductionManagement"},
        {"dirac_properties": {"ProductionManagement": 1}},
        {"dirac_properties": [1]},
        {"dirac_group": ["a", "b"]},
        {"preferred_username": 7},
        {"preferred_username": ""},
    ],
)
async def test_malformed_claims(jwks: Site, changes: dict[str, Any]) -> None:
    async with _serve(jwks, preset="diracx") as server:
        assert (await ask(jwks, server, _diracx(**changes))).status == 401


async def test_own_claims(jwks: Site) -> None:
    options = {"claims": {"username": "uid", "group": "team"}}
    async with _serve(jwks, **options) as server:
        who = (await ask(jwks, server, token(uid="alice", team="analysis", dirac_properties=["Everything"]))).identity
        assert who is not None
        assert (who.username, who.group, who.properties) == ("alice", "analysis", ("ProductionUser",))


# the configuration


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"audience": []}, "audience"),
        ({"jwks": "missing.json"}, "cannot be read"),
        ({"jwks": "http://idp.example.org/jwks"}, "https"),
        ({"jwks": "ftp://idp.example.org/jwks"}, "https"),
        ({"preset": "google"}, "preset"),
        ({"claims": {"properties": "p"}}, "needs claims"),
        ({"claims": {"grup": "p"}}, "did you mean group"),
        ({"isuer": "x"}, "did you mean issuer"),
        ({"issuer": 7}, "issuer"),
    ],
)
async def test_wrong_options_stop_the_start(jwks: Site, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        async with _serve(jwks, **change):
            pass


async def test_the_same_issuer_twice_stops_the_start(jwks: Site) -> None:
    same = entry(jwks=str(jwks.folder / "jwks.json"))
    with pytest.raises(ConfigurationError, match="twice"):
        async with jwks.server([{"jwt": {"issuers": [same, same]}}]):
            pass


# keys that must not be used


WEAK = rsa.generate_private_key(65537, 1024)
CURVE = ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize(
    "keys",
    [
        [{**tokens.public_jwk(KEYS["RS256"], "RS256"), "use": "enc"}],
        [{**tokens.public_jwk(KEYS["RS256"], "RS256"), "key_ops": ["encrypt"]}],
        [{**tokens.public_jwk(KEYS["RS256"], "RS256"), "alg": "PS256"}],
        [{**tokens.public_jwk(KEYS["RS256"], "RS256"), "kty": "EC"}],
        [{**tokens.public_jwk(KEYS["RS256"], "RS256"), "n": "!"}],
        [{"kty": "oct", "kid": KID, "k": base64.urlsafe_b64encode(PEM).decode()}],
        [{"kty": "RSA", "kid": KID}],
        [{}],
        [],
    ],
)
async def test_unusable_keys(site: Site, keys: list[Any]) -> None:
    (site.folder / "jwks.json").write_text(json.dumps({"keys": keys}))
    async with _serve(site) as server:
        assert (await ask(site, server, token("RS256"))).status == 401
        assert (await ask(site, server, _hmac(PEM, {"alg": "HS256", "kid": KID}))).status == 401


async def test_weak_keys(site: Site) -> None:
    keys = {"weak": (WEAK, "RS256"), "curve": (CURVE, "ES256")}
    (site.folder / "jwks.json").write_text(
        json.dumps({"keys": [{**tokens.public_jwk(key, name), "kid": kid} for kid, (key, name) in keys.items()]})
    )
    async with _serve(site) as server:
        with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
            weak = jwt.encode(claims(), WEAK, "RS256", {"kid": "weak"})
        assert (await ask(site, server, weak)).status == 401
        head = encode({"alg": "ES256", "kid": "curve"}, claims())[:-1]
        signature = CURVE.sign(head.encode(), ec.ECDSA(hashes.SHA256()))
        assert (await ask(site, server, encode({"alg": "ES256", "kid": "curve"}, claims(), signature))).status == 401
