"""Settings that look right and were taken for something else."""

from pathlib import Path

import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.settings import load
from jsonrpc_tm.storage.urls import sqlite_path


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("sqlite:///:memory:", "sqlite://:memory:"),
        ("sqlite:////:memory:", "sqlite://:memory:"),
        ("sqlite://:memory:?cache=shared", "sqlite://:memory:"),
        ("sqlite:///file::memory:?cache=shared", "sqlite://:memory:"),
        ("sqlite:///tm.db?mode=ro", "options"),
        ("sqlite:///file:tm.db", "without file:"),
        ("sqlite:////var/lib/my%20data/tm.db", "percent-encoded"),
        ("sqlite:///~/tm.db", "home folder"),
        ("sqlite:////~user/tm.db", "home folder"),
        ("sqlite:///$HOME/tm.db", "variables"),
        ("sqlite:///'tm.db'", "quotes"),
        ("sqlite:///tm.db ", "white space"),
        ("sqlite:/// tm.db", "white space"),
        ("sqlite:///tm.db\n", "control characters"),
    ],
)
def test_b3_an_sqlite_url_that_would_name_another_file_is_refused(url, right):
    with pytest.raises(ConfigurationError, match=right):
        sqlite_path(url, Path("/etc"))


@pytest.mark.parametrize("name", ["tm.db", "data/tm 1.db", "100%.db", "a:b.db", "a#b.db", "é~.db", "-.db"])
def test_b3_other_names_are_those_of_files(name):
    assert sqlite_path(f"sqlite:///{name}", Path("/etc")) == Path("/etc") / name


def refused(variable: str, value: str = "1") -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {variable: value}, {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("variable", "right"),
    [
        ("JSONRPC_TM_SERVER_PORT", "JSONRPC_TM__SERVER__PORT"),
        ("JSONRPC_TM__SERVER_PORT", "JSONRPC_TM__SERVER__PORT"),
        ("JSONRPC_TM_SERVER__PORT", "JSONRPC_TM__SERVER__PORT"),
        ("JSONRPC_TM___SERVER__PORT", "JSONRPC_TM__SERVER__PORT"),
        ("jsonrpc_tm__server__port", "JSONRPC_TM__SERVER__PORT"),
        ("JSONRPC_TM_SERVER_MAX_BODY", "JSONRPC_TM__SERVER__MAX_BODY"),
        ("JSONRPC_TM__SERVER__MAX__BODY", "JSONRPC_TM__SERVER__MAX_BODY"),
        ("JSONRPC_TM_SERVER_TLS_CLIENT_CA", "JSONRPC_TM__SERVER__TLS__CLIENT_CA"),
        ("JSONRPC_TM_CATALOG", "JSONRPC_TM__CATALOG"),
        ("JSONRPC_TM_AUTHORIZATION_METHODS_ping", "JSONRPC_TM__AUTHORIZATION__METHODS__…"),
    ],
)
def test_b7_a_variable_with_other_underscores_is_refused_with_the_right_name(variable, right):
    assert refused(variable) == f"environment: {variable}: Not the name of a setting; it is {right}."


def test_b7_what_is_no_setting_of_ours_is_left_alone():
    others = {
        "JSONRPC_TM_CONFIG": "x",
        "JSONRPC_TM_TRACEBACK": "1",
        # services of Kubernetes called jsonrpc-tm and jsonrpc-tm-server
        "JSONRPC_TM_SERVICE_PORT": "8443",
        "JSONRPC_TM_PORT": "tcp://10.0.0.1:8443",
        "JSONRPC_TM_SERVER_PORT": "tcp://10.0.0.1:8443",
    }
    assert dict(load(None, others, {})) == dict(load(None, {}, {}))


@pytest.mark.parametrize("word", ["null", "Null", "NULL", ""])
@pytest.mark.parametrize("name", ["server.tls.client_ca", "client.url", "client.token", "storage.read_default_file"])
def test_b8_null_is_null_on_the_command_line_and_in_the_environment(name, word):
    variable = f"JSONRPC_TM__{name.upper().replace('.', '__')}"
    assert load(None, {variable: "x"}, {name: word})[name] is None
    assert load(None, {variable: word}, {})[name] is None
    assert load(None, {}, {name: "./null"})[name] == "./null"


def test_b8_null_is_refused_where_a_value_must_be():
    with pytest.raises(ConfigurationError, match=r"^--set: server\.host: Field may not be null\.$"):
        load(None, {}, {"server.host": "null"})
