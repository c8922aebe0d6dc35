"""The addresses of servers."""

import pytest

from jsonrpc_tm.http.listener import local_url
from jsonrpc_tm.settings import Settings


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "https://127.0.0.1:8443/rpc"),
        ({"server__port": 0}, "https://127.0.0.1:8443/rpc"),
        ({"server__host": "0.0.0.0", "server__port": 9000}, "https://127.0.0.1:9000/rpc"),
        ({"server__host": "::", "server__path": "/tm"}, "https://[::1]:8443/tm"),
        ({"server__host": "tm.example.org"}, "https://tm.example.org:8443/rpc"),
        ({"server__tls__mode": "off"}, "http://127.0.0.1:8443/rpc"),
    ],
)
def test_where_programs_of_this_machine_find_the_server(changed, expected):
    assert local_url(Settings.defaults(**changed)) == expected
