from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
from cryptography import x509
from multidict import CIMultiDict

from jsonrpc_tm.auth import dn as names

from . import pki
from .conftest import ALICE, Site, client_context
from .test_trust import issue

X509 = [{"x509": {}}]
PROXIES = [{"x509": {"proxies": True}}]


async def test_plain_certificate(site: Site) -> None:
    async with site.server(X509) as server:
        who = (await site.ask(server, site.user())).identity
    assert who is not None
    assert who.authenticated
    assert (who.username, who.group, who.dn, who.authentication) == ("alice", "prod", ALICE, "x509")
    assert who.properties == ("ProductionManagement",)


async def test_no_certificate_is_anonymous(site: Site) -> None:
    async with site.server(X509) as server:
        who = (await site.ask(server)).identity
    assert who is not None
    assert not who.authenticated
    assert who.authentication is None


async def test_proxy(site: Site) -> None:
    async with site.server(PROXIES) as server:
        who = (await site.ask(server, pki.proxy(site.user(), group="analysis"))).identity
    assert who is not None
    assert (who.username, who.group, who.dn, who.authentication) == ("alice", "analysis", ALICE, "proxy")
    assert who.properties == ("ProductionUser",)


async def test_proxies_are_off_by_default(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.server(X509) as server:
        line = await site.refused(server, pki.proxy(site.user()), caplog)
    assert "proxy certificates not allowed" in line


# what TLS refuses: the connection ends in the handshake, and the log has OpenSSL's reason


async def test_self_signed_certificate(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.server(X509) as server:
        alone = issue(ALICE, begins=site.clock.now - timedelta(days=1), expires=site.clock.now + timedelta(days=1))
        line = await site.refused(server, pki.Credential(alone.chain, alone.key), caplog)
        assert line == "TLS handshake refused: self-signed certificate (18)"
        line = await site.refused(server, pki.user(trustme.CA(), ALICE), caplog)
        assert line == "TLS handshake refused: unable to get local issuer certificate (20)"


async def test_expired_and_not_yet_valid_certificates(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    now = datetime.now(UTC)
    async with site.server(PROXIES) as server:
        expired = site.user(begins=now - timedelta(days=2), expires=now - timedelta(hours=1))
        assert "certificate has expired" in await site.refused(server, expired, caplog)
        future = site.user(begins=now + timedelta(hours=1))
        assert "not yet valid" in await site.refused(server, future, caplog)
        proxy = pki.proxy(site.user(), begins=now - timedelta(days=2), expires=now - timedelta(hours=1))
        assert "certificate has expired" in await site.refused(server, proxy, caplog)


async def test_proxy_of_a_proxy_with_a_foreign_signature(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    first = pki.proxy(site.user(), group="analysis")
    forged = pki.proxy(first, signer=site.user("/DC=org/DC=example/CN=mallory").key)
    async with site.server(PROXIES) as server:
        assert "signature failure" in await site.refused(server, forged, caplog)


async def test_proxy_with_another_subject(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    mallory = site.user("/DC=org/DC=example/CN=mallory")
    forged = pki.proxy(mallory, subject=names.parse(ALICE + "/CN=123"))
    async with site.server(PROXIES) as server:
        assert "proxy subject name violation" in await site.refused(server, forged, caplog)


async def test_more_proxies_than_allowed(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    first = pki.proxy(site.user(), path_length=0)
    async with site.server(PROXIES) as server:
        assert (await site.ask(server, first)).status == 200
        assert "path length" in await site.refused(server, pki.proxy(first), caplog)


async def test_legacy_proxy_without_the_extension(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    legacy = pki.proxy(site.user(), subject=names.parse(ALICE + "/CN=proxy"), plain=True)
    async with site.server(PROXIES) as server:
        assert "TLS handshake refused" in await site.refused(server, legacy, caplog)


# what TLS accepts but the rules refuse: 401 for the whole request


async def test_limited_proxies(site: Site) -> None:
    full = pki.proxy(site.user())
    limited = pki.proxy(site.user(), policy=pki.LIMITED)
    chains = [limited, pki.proxy(full, policy=pki.LIMITED), pki.proxy(limited)]
    async with site.server(PROXIES) as server:
        for chain in chains:
            who = await site.ask(server, chain)
            assert (who.status, who.message) == (401, "Limited proxies are not accepted")
    async with site.server([{"x509": {"proxies": True, "limited_proxies": True}}]) as server:
        for chain in chains:
            assert (await site.ask(server, chain)).status == 200


@pytest.mark.parametrize("policy", [pki.INDEPENDENT, "1.3.6.1.5.5.7.21.0", "1.2.3.4"])
async def test_proxies_that_do_not_inherit(site: Site, policy: str) -> None:
    independent = pki.proxy(site.user(), policy=policy)
    async with site.server([{"x509": {"proxies": True, "limited_proxies": True}}]) as server:
        assert (await site.ask(server, independent)).status == 401
        assert (await site.ask(server, pki.proxy(independent))).status == 401


async def test_sub_proxy_cannot_change_the_group(site: Site) -> None:
    first = pki.proxy(site.user(), group="analysis")
    async with site.server(PROXIES) as server:
        who = (await site.ask(server, pki.proxy(first, group="prod"))).identity
        assert who is not None
        assert (who.group, who.properties) == ("analysis", ("ProductionUser",))


async def test_group_of_a_proxy_must_be_the_users(site: Site) -> None:
    bob = site.user("/DC=org/DC=example/CN=bob")
    async with site.server(PROXIES) as server:
        for group in ("prod", "admin", "nonsense", "hosts"):
            who = (await site.ask(server, pki.proxy(bob, group=group))).identity
            assert who is not None
            assert who.refused is not None
            assert (who.group, who.properties) == (None, ())


@pytest.mark.parametrize("group", [b"\x16\x05prod", b"\x0c\x04prod", b"prod", b"\x16\x00", b"\x16\x04\xff\xfe\xfd\xfc"])
async def test_malformed_group(site: Site, group: bytes) -> None:
    async with site.server(PROXIES) as server:
        who = await site.ask(server, pki.proxy(site.user(), groups=group))
    assert (who.status, who.message) == (401, "The certificate is malformed")


async def test_certificate_that_ends_while_the_connection_is_open(site: Site) -> None:
    proxy = pki.proxy(site.user(), expires=datetime.now(UTC) + timedelta(hours=2))
    context = client_context(site.folder / "ca.pem", proxy.write(site.folder, "alice"))
    connector = aiohttp.TCPConnector(ssl=context)
    async with site.server(PROXIES) as server, aiohttp.ClientSession(connector=connector) as session:
        assert (await site.ask(server, session=session)).status == 200
        site.clock.now += timedelta(hours=2, seconds=1)
        who = await site.ask(server, session=session)
    assert (who.status, who.message) == (401, "The certificate has expired")


# the registry


async def test_unknown_suspended_and_groupless_users(site: Site) -> None:
    async with site.server(X509) as server:
        for name, reason in [
            ("mallory", "/DC=org/DC=example/CN=mallory is not in the registry"),
            ("sleepy", "sleepy is suspended"),
            ("loner", "loner is in no group"),
        ]:
            who = (await site.ask(server, site.user(f"/DC=org/DC=example/CN={name}"))).identity
            assert who is not None
            assert (who.authenticated, who.refused, who.reason, who.properties) == (False, None, reason, ())


async def test_host(site: Site) -> None:
    async with site.server(X509) as server:
        credential = site.user("/DC=org/DC=example/CN=host/agent.example.org")
        who = (await site.ask(server, credential, {"X-TM-Group": "hosts"})).identity
        assert who is not None
        assert (who.username, who.group, who.properties) == ("agent", "hosts", ("ProductionManagement",))
        who = (await site.ask(server, credential, {"X-TM-Group": "prod"})).identity
        assert who is not None
        assert who.refused is not None


async def test_choosing_a_group(site: Site) -> None:
    async with site.server(X509) as server:
        who = (await site.ask(server, site.user(), {"X-TM-Group": "analysis"})).identity
        assert who is not None
        assert (who.group, who.properties) == ("analysis", ("ProductionUser",))


@pytest.mark.parametrize("group", ["admin", "nonsense", "hosts", "PROD", "prod,analysis", "é\udcff", "x" * 8000])
async def test_claiming_somebody_elses_group(site: Site, group: str) -> None:
    async with site.server(X509) as server:
        who = (await site.ask(server, site.user(), {"X-TM-Group": group})).identity
    assert who is not None
    assert who.refused is not None
    assert len(who.refused.encode()) < 200
    assert (who.group, who.properties) == (None, ())


async def test_claiming_another_group_than_the_proxys(site: Site) -> None:
    async with site.server(PROXIES) as server:
        proxy = pki.proxy(site.user(), group="analysis")
        who = (await site.ask(server, proxy, {"X-TM-Group": "prod"})).identity
        assert who is not None
        assert who.refused == "The credentials are for the group 'analysis', not for 'prod'"
        who = (await site.ask(server, proxy, {"X-TM-Group": "analysis"})).identity
        assert who is not None
        assert who.group == "analysis"


async def test_two_group_headers(site: Site) -> None:
    headers = CIMultiDict([("X-TM-Group", "analysis"), ("X-TM-Group", "prod")])
    async with site.server(X509) as server:
        assert (await site.ask(server, site.user(), headers)).status == 401


# names that look like alice's


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


_DC = (x509.NameOID.DOMAIN_COMPONENT, "org"), (x509.NameOID.DOMAIN_COMPONENT, "example")
_CN, _O = x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME
AMBIGUOUS = {
    "a value that goes on with the next attribute": _name(
        (_DC[0]), (x509.NameOID.DOMAIN_COMPONENT, "example/CN=alice")
    ),
    "the whole name in one value": _name((x509.NameOID.DOMAIN_COMPONENT, "org/DC=example/CN=alice")),
    "an OID as attribute name": _name(*_DC, (_CN, "alice/2.5.4.3=bob")),
    "two values in one place": x509.Name(
        [
            *(x509.RelativeDistinguishedName([x509.NameAttribute(*pair)]) for pair in _DC),
            x509.RelativeDistinguishedName([x509.NameAttribute(_CN, "alice"), x509.NameAttribute(_O, "x")]),
        ]
    ),
    "NUL": _name(*_DC, (_CN, "alice\0.example.org")),
    "a line end": _name(*_DC, (_CN, "alice\n")),
}
OTHERS = {
    "Cyrillic a": _name(*_DC, (_CN, "\u0430lice")),
    "zero width space": _name(*_DC, (_CN, "ali\u200bce")),
    "full width": _name(*_DC, (_CN, "\uff41lice")),
    "right to left": _name(*_DC, (_CN, "\u202eecila")),
    "capital": _name(*_DC, (_CN, "Alice")),
    "a space behind": _name(*_DC, (_CN, "alice ")),
    "another attribute": _name(*_DC, (_O, "alice")),
    "two names": _name(*_DC, (_CN, "alice"), (_CN, "bob")),
    "a name too much": _name(*_DC, (_CN, "x"), (_CN, "alice")),
    "another order": _name(*reversed(_DC), (_CN, "alice")),
    "a slash": _name(*_DC, (_CN, "alice/")),
    "an equals sign": _name(*_DC, (_CN, "=alice")),
}


@pytest.mark.parametrize("name", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_ambiguous_names(site: Site, name: x509.Name) -> None:
    async with site.server(X509) as server:
        assert (await site.ask(server, site.user(name))).status == 401


@pytest.mark.parametrize("name", OTHERS.values(), ids=OTHERS)
async def test_names_of_others(site: Site, name: x509.Name) -> None:
    async with site.server(X509) as server:
        who = (await site.ask(server, site.user(name))).identity
    assert who is not None
    assert (who.username, who.authenticated) == (None, False)
