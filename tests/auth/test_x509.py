import pytest

from tests.auth import pki
from tests.auth.conftest import ALICE, Site

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
