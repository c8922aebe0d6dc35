"""Storage URLs."""

from pathlib import Path

import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.storage.urls import redacted, scheme, server_url, sqlite_path

FOLDER = Path("/etc/tm")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///tm.db", FOLDER / "tm.db"),
        ("sqlite:///data/tm 1.db", FOLDER / "data" / "tm 1.db"),
        ("sqlite:////var/lib/tm.db", Path("/var/lib/tm.db")),
        ("sqlite://:memory:", None),
    ],
)
def test_sqlite(url, path):
    assert scheme(url) == "sqlite"
    assert sqlite_path(url, FOLDER) == path


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://tm.db", "sqlite:////", "sqlite:///folder/"])
def test_what_is_no_file(url):
    with pytest.raises(ConfigurationError, match="must be sqlite:///"):
        sqlite_path(url, FOLDER)


@pytest.mark.parametrize("url", ["", "tm.db", "/tm.db", "://x", "SQLITE:x", "sqlite:tm.db"])
def test_what_is_no_url(url):
    with pytest.raises(ConfigurationError, match="is not a URL"):
        scheme(url)


def test_servers():
    found = server_url("mysql://u%40x:p%2Fw:@d1,d2:3307,[::1]:99/my%20db?read_default_file=/etc/my.cnf&x=")
    assert (found.user, found.password, found.database) == ("u@x", "p/w:", "my db")
    assert found.hosts == (("d1", 3306), ("d2", 3307), ("::1", 99))
    assert found.options == {"read_default_file": "/etc/my.cnf", "x": ""}
    bare = server_url("mysql://localhost/tm")
    assert (bare.user, bare.password, bare.hosts) == ("", "", (("localhost", 3306),))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@/tm",
        "mysql://u:secret@host",
        "mysql://u:secret@host/",
        "mysql://u:secret@host:0/tm",
        "mysql://u:secret@host:99999/tm",
        "mysql://u:secret@host:x/tm",
        "mysql://u:secret@a,,b/tm",
        "mysql://u:secret@::1/tm",
    ],
)
def test_broken_servers_never_show_the_password(url):
    with pytest.raises(ConfigurationError) as caught:
        server_url(url)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(server_url("mysql://u:secret@h/tm"))


def test_redacted():
    assert redacted("mysql://u:p@ss:w@h:1/d") == "mysql://u:***@h:1/d"
    assert redacted("sqlite:///x.db") == "sqlite:///x.db"
