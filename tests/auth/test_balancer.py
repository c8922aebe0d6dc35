"""Headers of a balancer that ended the TLS connection: believed from listed addresses only."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import trustme
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from multidict import CIMultiDict

from jsonrpc_tm.auth import identify
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.identity import Credentials

from . import pki
from .conftest import ALICE, Site

BEHIND = [{"x509": {"proxies": True, "balancers": ["127.0.0.1"]}}]


def _headers(credential: pki.Credential, verdict: str = "SUCCESS") -> dict[str, str]:
    return {"X-SSL-CERT": quote(credential.pem, safe=""), "X-SSL-CLIENT-VERIFY": verdict}


@pytest.fixture(params=["plain HTTP", "TLS"])
def wire(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"server__tls__mode": "off"} if request.param == "plain HTTP" else {}


async def test_certificate(site: Site, wire: dict[str, str]) -> None:
    async with site.server(BEHIND, **wire) as server:
        who = (await site.ask(server, headers=_headers(site.user()))).identity
    assert who is not None
    assert (who.username, who.group, who.dn, who.authentication) == ("alice", "prod", ALICE, "x509")


async def test_proxy(site: Site, wire: dict[str, str]) -> None:
    first = pki.proxy(site.user(), group="analysis")
    async with site.server(BEHIND, **wire) as server:
        for proxy in (first, pki.proxy(first), pki.proxy(first, group="prod")):
            who = (await site.ask(server, headers=_headers(proxy))).identity
            assert who is not None
            assert (who.username, who.group, who.dn, who.authentication) == ("alice", "analysis", ALICE, "proxy")


@pytest.mark.parametrize("balancers", [[], ["10.0.0.0/8", "127.0.0.2", "::1"]])
async def test_headers_of_everybody_else_are_ignored(site: Site, balancers: list[str]) -> None:
    async with site.server([{"x509": {"balancers": balancers}}]) as server:
        forged = _headers(site.user())
        who = (await site.ask(server, headers=forged)).identity
        assert who is not None
        assert who.username is None
        bob = site.user("/DC=org/DC=example/CN=bob")
        who = (await site.ask(server, bob, forged)).identity
        assert who is not None
        assert who.username == "bob"


async def test_networks(site: Site) -> None:
    async with site.server([{"x509": {"balancers": ["127.0.0.0/8"]}}]) as server:
        who = (await site.ask(server, headers=_headers(site.user()))).identity
        assert who is not None
        assert who.username == "alice"


async def test_headers_count_before_the_balancers_own_certificate(site: Site) -> None:
    agent = site.user("/DC=org/DC=example/CN=host/agent.example.org")
    async with site.server(BEHIND) as server:
        who = (await site.ask(server, agent, _headers(site.user()))).identity
        assert who is not None
        assert who.username == "alice"
        # the balancer's own certificate is nobody's credential
        who = (await site.ask(server, site.user("/CN=balancer"))).identity
        assert who is not None
        assert (who.dn, who.reason) == (None, "no credentials were shown")


async def test_incomplete_or_refused_headers(site: Site) -> None:
    good = _headers(site.user())
    wrong = [
        *(_headers(site.user(), verdict) for verdict in ("NONE", "FAILED:certificate has expired", "success", "0")),
        {"X-SSL-CERT": good["X-SSL-CERT"]},
        {"X-SSL-CLIENT-VERIFY": "SUCCESS"},
        {"X-SSL-CLIENT-VERIFY": "NONE"},
        {**good, "X-SSL-CERT": "garbage"},
        {**good, "X-SSL-CERT": good["X-SSL-CERT"][:300]},
        {**good, "X-SSL-CERT": "%ff%fe"},
        CIMultiDict([*good.items(), ("X-SSL-CERT", good["X-SSL-CERT"])]),
        CIMultiDict([("X-SSL-CLIENT-VERIFY", "FAILED"), *good.items()]),
    ]
    async with site.server(BEHIND) as server:
        assert (await site.ask(server, headers=good)).status == 200
        for headers in wrong:
            assert (await site.ask(server, headers=headers)).status == 401, headers


async def test_dates_are_checked_at_every_request(site: Site) -> None:
    now = datetime.now(UTC)
    async with site.server(BEHIND) as server:
        for credential in (site.user(expires=now + timedelta(hours=1)), pki.proxy(site.user())):
            site.clock.now = now
            headers = _headers(credential)
            assert (await site.ask(server, headers=headers)).status == 200
            site.clock.now = now + timedelta(days=1)
            assert (await site.ask(server, headers=headers)).message == "The certificate has expired"
            site.clock.now = now - timedelta(days=2)
            assert (await site.ask(server, headers=headers)).message == "The certificate is not valid yet"


async def test_proxies_are_off_by_default(site: Site) -> None:
    async with site.server([{"x509": {"balancers": ["127.0.0.1"]}}]) as server:
        assert (await site.ask(server, headers=_headers(pki.proxy(site.user())))).status == 401


async def test_revoked_user(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonrpc_tm.auth.trust.RELOAD", 0)
    mallory = site.user()
    plain, proxied = _headers(mallory), _headers(pki.proxy(mallory))
    crl = site.folder / "crl.pem"
    crl.write_bytes(pki.crl(site.ca))
    async with site.server(BEHIND, server__tls__crl=str(crl)) as server:
        for headers in (plain, proxied):
            assert (await site.ask(server, headers=headers)).status == 200
        crl.write_bytes(pki.crl(site.ca, mallory))
        for headers in (plain, proxied):
            assert (await site.ask(server, headers=headers)).message == "The certificate is revoked"
        # a list of somebody else's is none
        crl.write_bytes(pki.crl(trustme.CA(), mallory))
        assert (await site.ask(server, headers=proxied)).status == 503
        crl.write_bytes(pki.crl(site.ca, expires=datetime.now(UTC) - timedelta(hours=1)))
        assert (await site.ask(server, headers=proxied)).status == 503


def _bad_proxies(site: Site) -> dict[str, pki.Credential]:
    alice = site.user()
    mallory = site.user("/DC=org/DC=example/CN=mallory")
    first = pki.proxy(alice)
    now = datetime.now(UTC)
    stranger = trustme.CA()
    ca = site.user("/DC=org/DC=example/CN=ca", authority=True)
    missing = pki.proxy(first)
    return {
        "foreign signature": pki.proxy(alice, signer=mallory.key),
        "foreign signature on a sub-proxy": pki.proxy(first, signer=mallory.key),
        "of a user of an unknown authority": pki.proxy(pki.user(stranger, ALICE)),
        "named after somebody else": pki.proxy(mallory, subject=pki.below(alice.certificate.subject, "1")),
        "with two names more": pki.proxy(alice, subject=pki.below(alice.certificate.subject, "1", "2")),
        "with another attribute than a common name": pki.proxy(
            alice, subject=x509.Name([*alice.certificate.subject, x509.NameAttribute(x509.NameOID.USER_ID, "1")])
        ),
        "with its user's name": pki.proxy(alice, subject=alice.certificate.subject),
        "without its user": pki.Credential(first.chain[:1], first.key),
        "without the proxy above it": pki.Credential([missing.chain[0], *missing.chain[2:]], missing.key),
        "expired": pki.proxy(alice, expires=now - timedelta(minutes=1), begins=now - timedelta(days=1)),
        "not yet valid": pki.proxy(alice, begins=now + timedelta(hours=1)),
        "of an expired user": pki.proxy(site.user(begins=now - timedelta(9), expires=now - timedelta(hours=1))),
        "of an expired proxy": pki.proxy(
            pki.proxy(alice, begins=now - timedelta(1), expires=now - timedelta(minutes=1))
        ),
        "limited": pki.proxy(alice, policy=pki.LIMITED),
        "below a limited one": pki.proxy(pki.proxy(alice, policy=pki.LIMITED)),
        "independent": pki.proxy(alice, policy=pki.INDEPENDENT),
        "one too many": pki.proxy(pki.proxy(alice, path_length=0)),
        "two too many": pki.proxy(pki.proxy(pki.proxy(alice, path_length=1))),
        "of an authority": pki.proxy(ca),
        "that is an authority": pki.proxy(alice, extra=[(x509.BasicConstraints(True, None), True)]),
        "with another name besides": pki.proxy(
            alice, extra=[(x509.SubjectAlternativeName([x509.DNSName("example.org")]), False)]
        ),
        "with another name of its issuer": pki.proxy(
            alice, extra=[(x509.IssuerAlternativeName([x509.DNSName("example.org")]), False)]
        ),
        "with an extension that nobody knows": pki.proxy(
            alice, extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\5\0"), True)]
        ),
        "of a server": pki.proxy(site.user(purpose=ExtendedKeyUsageOID.SERVER_AUTH)),
        "malformed": pki.proxy(alice, info=b"\x30\x80"),
        "malformed length": pki.proxy(alice, info=b"\x30\x03\x30\x7f\x06"),
    }


async def test_proxies_that_must_not_pass(site: Site) -> None:
    passed = []
    async with site.server(BEHIND) as server:
        for name, credential in _bad_proxies(site).items():
            if (await site.ask(server, headers=_headers(credential))).status != 401:
                passed.append(name)
    assert not passed


async def test_certificates_are_not_confused_by_what_comes_behind_them(site: Site) -> None:
    bob = site.user("/DC=org/DC=example/CN=bob")
    async with site.server(BEHIND) as server:
        both = pki.Credential([bob.certificate, site.user().certificate], bob.key)
        who = (await site.ask(server, headers=_headers(both))).identity
        assert who is not None
        assert who.username == "bob"
        proxy = pki.proxy(bob)
        more = pki.Credential([proxy.chain[0], site.user().certificate, *proxy.chain[1:]], proxy.key)
        who = (await site.ask(server, headers=_headers(more))).identity
        assert who is not None
        assert who.username == "bob"


@pytest.mark.parametrize("balancers", [["balancer.example.org"], "127.0.0.1", [1], ["10.0.0.1/8"], [""]])
async def test_wrong_addresses_stop_the_start(site: Site, balancers: object) -> None:
    with pytest.raises(ConfigurationError, match=r"authentication.*balancers"):
        async with site.server([{"x509": {"balancers": balancers}}]):
            pass


async def test_authorities_between_user_and_root(site: Site) -> None:
    between = site.ca.create_child_ca()
    alice = pki.user(between, ALICE)
    proxy = pki.proxy(alice)
    intermediate = x509.load_pem_x509_certificate(between.cert_pem.bytes())
    sent = pki.Credential([*proxy.chain, intermediate], proxy.key)
    async with site.server(BEHIND) as server:
        assert (await site.ask(server, headers=_headers(sent))).status == 200
        assert (await site.ask(server, headers=_headers(proxy))).status == 401
    # an authority on disk is not trusted without its root, as in a handshake
    between.cert_pem.write_to_path(site.folder / "between.pem")
    async with site.server(BEHIND, server__tls__client_ca=str(site.folder / "between.pem")) as server:
        assert (await site.ask(server, headers=_headers(proxy))).status == 401
        assert (await site.ask(server, headers=_headers(sent))).status == 401
    between.cert_pem.write_to_path(site.folder / "ca.pem", append=True)
    async with site.server(BEHIND) as server:
        assert (await site.ask(server, headers=_headers(proxy))).status == 200
    # the root revokes the authority
    crl = site.folder / "crl.pem"
    for revoked, status in (((), 200), ((pki.Credential([intermediate], proxy.key),), 401)):
        crl.write_bytes(pki.crl(site.ca, *revoked) + pki.crl(between))
        async with site.server(BEHIND, server__tls__crl=str(crl)) as server:
            assert (await site.ask(server, headers=_headers(proxy))).status == status
    # no list of the authority between
    crl.write_bytes(pki.crl(site.ca))
    async with site.server(BEHIND, server__tls__crl=str(crl)) as server:
        assert (await site.ask(server, headers=_headers(proxy))).status == 503


async def test_partial_revocation_lists_do_not_count_as_the_whole(site: Site) -> None:
    proxy = pki.proxy(site.user())
    crl = site.folder / "crl.pem"
    crl.write_bytes(pki.crl(site.ca, extra=[(x509.DeltaCRLIndicator(1), True)]))
    async with site.server(BEHIND, server__tls__crl=str(crl)) as server:
        assert (await site.ask(server, headers=_headers(proxy))).status == 503


@pytest.mark.parametrize(
    ("remote", "listed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("11.1.2.3", False),
        ("::ffff:11.1.2.3", False),
        ("fd01::1", False),
        ("", False),
        ("unix:", False),
        (None, False),
    ],
)
async def test_addresses(site: Site, remote: str | None, listed: bool) -> None:
    async with site.server([{"x509": {"balancers": ["10.0.0.0/8", "fd00::/16"]}}]) as server:
        credentials = Credentials(_headers(site.user()), remote, None, site.clock())
        who = await identify(server.authenticators, credentials)
    assert who.username == ("alice" if listed else None)
