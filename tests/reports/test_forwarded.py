"""The caller's address behind balancers: told by those that are listed, and by nobody else."""

import asyncio
import contextlib
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from jsonrpc_tm.auth.trust import Trust
from jsonrpc_tm.auth.users import ConfiguredUsers
from jsonrpc_tm.auth.x509 import X509
from jsonrpc_tm.core.addresses import network
from jsonrpc_tm.core.errors import BadCredentials, ConfigurationError
from jsonrpc_tm.core.identity import Credentials
from jsonrpc_tm.core.records import CallRecord
from jsonrpc_tm.http.server import listening
from jsonrpc_tm.settings import Settings

from ..http.fakes import ECHO, make_service, serving

HERE, OTHERS = network("127.0.0.1"), network("10.0.0.0/8")


async def addresses(*requests: dict[str, str], **settings: Any) -> list[str | None]:
    """Return what observers hear of who called, for requests with some headers."""
    heard: list[CallRecord] = []
    async with serving(make_service(observers=[heard.append], **settings)) as wire:
        for headers in requests:
            async with wire.session.post(wire.url, json=ECHO, headers=headers) as response:
                assert (await response.json())["result"] == "hello"
    return [record.address for record in heard]


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        # what the caller wrote itself stands before what the balancers add
        ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.5", "192.0.2.7"),
        ("1.1.1.1,192.0.2.7 ,10.0.0.5, 10.9.9.9", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:1234", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        # nothing but balancers: the first of them
        ("10.0.0.4, 10.0.0.5", "10.0.0.4"),
        ("evil, 10.0.0.5", "10.0.0.5"),
        ("unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_b11_the_caller_is_the_last_that_is_no_balancer(told: str, address: str) -> None:
    assert await addresses({"X-Forwarded-For": told}, **{"server.balancers": (HERE, OTHERS)}) == [address]


async def test_b11_only_the_header_of_the_configuration_counts() -> None:
    both = {"X-Forwarded-For": "192.0.2.1", "Forwarded": 'for=1.1.1.1;proto=http, for="[2001:db8::1]:4711";by=x'}
    believed = {"server.balancers": (HERE,)}
    assert await addresses(both, **believed) == ["192.0.2.1"]
    assert await addresses(both, **believed, **{"server.forwarded_header": "Forwarded"}) == ["2001:db8::1"]
    # one that adds no address must not make an earlier one count
    assert (
        await addresses(
            {"Forwarded": "for=1.1.1.1, proto=https"},
            {"Forwarded": 'for="_hidden"'},
            **believed,
            **{"server.forwarded_header": "Forwarded"},
        )
        == ["127.0.0.1"] * 2
    )


async def test_b11_nobody_else_is_believed() -> None:
    told = {"X-Forwarded-For": "192.0.2.7"}
    assert await addresses(told) == ["127.0.0.1"]
    assert await addresses(told, **{"server.balancers": (OTHERS, None)}) == ["127.0.0.1"]


async def test_b11_limits_count_the_caller_and_not_the_balancer() -> None:
    service = make_service(**{"server.balancers": (HERE,), "limits.calls_per_minute": 1})
    async with serving(service) as wire:
        found = []
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            async with wire.session.post(wire.url, json=ECHO, headers={"X-Forwarded-For": address}) as response:
                found.append(response.status)
        assert found == [200, 200, 429]


async def test_b11_a_told_address_gives_no_right_to_tell_certificates() -> None:
    """``balancers`` of the authenticator looks at the other end of the connection."""
    users = ConfiguredUsers({"alice": {"dns": ["/CN=alice"], "groups": ["g"]}}, {"g": {}}, {})
    x509 = X509(users, Trust(None, None), balancers=(OTHERS,))
    heard: list[CallRecord] = []
    service = make_service(observers=[heard.append], authenticators=[x509], **{"server.balancers": (HERE,)})
    headers = {"X-Forwarded-For": "10.0.0.5", "X-SSL-Client-Verify": "SUCCESS", "X-SSL-Cert": "rubbish"}
    async with serving(service) as wire, wire.session.post(wire.url, json=ECHO, headers=headers) as response:
        assert response.status == 200
    assert heard[0].address == "10.0.0.5"
    assert not heard[0].identity.authenticated


def test_b11_the_unix_socket_can_tell_certificates() -> None:
    for balancers, remote, believed in (((None,), "", True), ((None,), "127.0.0.1", False), ((HERE,), "", False)):
        x509 = X509(ConfiguredUsers({}, {}, {}), Trust(None, None), balancers=balancers)
        shown = Credentials(CIMultiDict({"X-SSL-Client-Verify": "FAILED"}), remote, None, datetime.now(UTC))
        refused = pytest.raises(BadCredentials, match="did not verify") if believed else contextlib.nullcontext()
        with refused:
            assert asyncio.run(x509.authenticate(shown)) is None


async def test_b11_a_balancer_on_a_unix_socket(tmp_path: Path) -> None:
    for believed, address in (((None,), "192.0.2.7"), ((HERE,), "")):
        heard: list[CallRecord] = []
        service = make_service(observers=[heard.append], **{"server.balancers": believed})
        path = tmp_path / f"{len(believed)}{address}.sock"
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
            bound.listen()
            connector = aiohttp.UnixConnector(str(path))
            async with service, listening(service, bound), aiohttp.ClientSession(connector=connector) as session:
                headers = {"X-Forwarded-For": "192.0.2.7"}
                async with session.post("http://tm/rpc", json=ECHO, headers=headers) as response:
                    assert response.status == 200
        assert [record.address or "" for record in heard] == [address]


def test_b11_the_list_is_checked() -> None:
    found = Settings.defaults(server__balancers=["10.0.0.0/8", "::1", "unix"])["server.balancers"]
    assert found == [OTHERS, network("::1"), None]
    with pytest.raises(ConfigurationError, match=r"server.balancers: Not an IP address or network: .*'balancer'"):
        Settings.defaults(server__balancers=["balancer"])
