"""Several issuers, what they are trusted with, their keys, and configurations that stop the start."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.tools import tokens

from .conftest import Site
from .jwts import ISSUER, KEYS, KID, OTHER, PEM, ask, claims, encode, entry, hmac_token, key_set, serve, token


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


async def test_subjects_that_any_issuer_can_issue_are_worth_a_warning(
    jwks: Site, caplog: pytest.LogCaptureFixture
) -> None:
    one = entry(jwks=str(jwks.folder / "jwks.json"))
    two = {**one, "issuer": "https://second.example.org"}
    named = {"zoe": {"subjects": [f"{ISSUER} zoe"]}, "max": {}}
    for issuers, users, warned in (([one], None, False), ([one, two], named, False), ([one, two], None, True)):
        caplog.clear()
        async with jwks.server([{"jwt": {"issuers": issuers}}], **({"registry__users": users} if users else {})):
            assert ("the subjects of alice, bob, loner, sleepy:" in caplog.text) == warned


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
    async with serve(jwks, preset="diracx") as server:
        who = (await ask(jwks, server, _diracx())).identity
        assert who is not None
        assert who.authenticated
        assert (who.username, who.group, who.subject, who.bound) == ("zoe", "lhcb_prod", "vo:1", True)
        assert who.properties == ("ProductionManagement", "NormalUser")
        who = (await ask(jwks, server, _diracx(), **{"X-TM-Group": "lhcb_prod"})).identity
        assert who is not None
        assert who.authenticated
        who = (await ask(jwks, server, _diracx(), **{"X-TM-Group": "prod"})).identity
        assert who is not None
        assert (who.refused is not None, who.properties) == (True, ())


async def test_diracx_tokens_have_no_audience(jwks: Site) -> None:
    async with serve(jwks, preset="diracx", audience=[]) as server:
        assert (await ask(jwks, server, _diracx(aud=None))).status == 200
        assert (await ask(jwks, server, _diracx(aud="somebody else"))).status == 401


async def test_suspended_users_stay_out_with_claims_too(jwks: Site) -> None:
    async with serve(jwks, preset="diracx") as server:
        who = (await ask(jwks, server, _diracx(preferred_username="sleepy"))).identity
    assert who is not None
    assert (who.authenticated, who.reason, who.properties) == (False, "sleepy is suspended", ())


async def test_claims_fall_back_to_the_registry(jwks: Site) -> None:
    async with serve(jwks, preset="diracx") as server:
        # no properties: the registry must confirm the membership
        who = await ask(jwks, server, _diracx(preferred_username="bob", dirac_group="analysis", dirac_properties=None))
        assert who.identity is not None
        assert (who.identity.username, who.identity.properties) == ("bob", ("ProductionUser",))
        assert who.identity.bound
        who = await ask(jwks, server, _diracx(preferred_username="bob", dirac_group="prod", dirac_properties=None))
        assert who.identity is not None
        assert (who.identity.refused is not None, who.identity.properties) == (True, ())
        # no group
        who = await ask(jwks, server, _diracx(preferred_username="bob", dirac_group=None))
        assert who.identity is not None
        assert (who.identity.group, who.identity.properties) == ("analysis", ("ProductionUser",))
        assert not who.identity.bound
        # no name
        who = await ask(jwks, server, token())
        assert who.identity is not None
        assert who.identity.username == "alice"


async def test_token_that_names_a_group_but_no_user(jwks: Site) -> None:
    async with serve(jwks, preset="diracx") as server:
        # the subject is alice's, whose groups the registry knows
        for group, refused in (("analysis", False), ("admin", True)):
            text = _diracx(sub="alice-sub", preferred_username=None, dirac_group=group)
            who = (await ask(jwks, server, text)).identity
            assert who is not None
            assert (who.username, who.refused is not None) == ("alice", refused)
            assert who.properties == (() if refused else ("ProductionUser",))
        who = (await ask(jwks, server, _diracx(sub="nobody", preferred_username=None))).identity
        assert who is not None
        assert (who.authenticated, who.properties) == (False, ())


async def test_group_of_a_user_whom_the_registry_does_not_know(jwks: Site) -> None:
    async with serve(jwks, preset="diracx") as server:
        for group, properties in (("analysis", ("ProductionUser",)), ("nonsense", ())):
            text = _diracx(preferred_username="zoe", dirac_group=group, dirac_properties=None)
            who = (await ask(jwks, server, text)).identity
            assert who is not None
            assert (who.username, who.group, who.properties) == ("zoe", group, properties)


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
    async with serve(jwks, preset="diracx") as server:
        assert (await ask(jwks, server, _diracx(**changes))).status == 401


async def test_own_claims(jwks: Site) -> None:
    options = {"claims": {"username": "uid", "group": "team"}}
    async with serve(jwks, **options) as server:
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
        ({"claims": {"properties": "p"}}, "properties needs group"),
        ({"claims": {"grup": "p"}}, "did you mean group"),
        ({"isuer": "x"}, "did you mean issuer"),
        ({"issuer": 7}, "issuer"),
    ],
)
async def test_wrong_options_stop_the_start(jwks: Site, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        async with serve(jwks, **change):
            pass


@pytest.mark.parametrize(
    "options", [{}, {"issuers": []}, {"issuers": {}}, {"issuers": "x"}, {"issuers": [1]}, {"isuers": []}]
)
async def test_issuers_that_are_no_list_stop_the_start(site: Site, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"authentication.*issuers"):
        async with site.server([{"jwt": options}]):
            pass


async def test_the_same_issuer_twice_stops_the_start(jwks: Site) -> None:
    same = entry(jwks=str(jwks.folder / "jwks.json"))
    with pytest.raises(ConfigurationError, match="there already"):
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
    async with serve(site) as server:
        assert (await ask(site, server, token("RS256"))).status == 401
        assert (await ask(site, server, hmac_token(PEM, {"alg": "HS256", "kid": KID}))).status == 401


async def test_weak_keys(site: Site) -> None:
    keys = {"weak": (WEAK, "RS256"), "curve": (CURVE, "ES256")}
    (site.folder / "jwks.json").write_text(
        json.dumps({"keys": [{**tokens.public_jwk(key, name), "kid": kid} for kid, (key, name) in keys.items()]})
    )
    async with serve(site) as server:
        with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
            weak = jwt.encode(claims(), WEAK, "RS256", {"kid": "weak"})
        assert (await ask(site, server, weak)).status == 401
        head = encode({"alg": "ES256", "kid": "curve"}, claims())[:-1]
        signature = CURVE.sign(head.encode(), ec.ECDSA(hashes.SHA256()))
        assert (await ask(site, server, encode({"alg": "ES256", "kid": "curve"}, claims(), signature))).status == 401
