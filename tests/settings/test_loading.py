"""Settings come from a file, the environment and the command line, in this order, and everything wrong is named."""

import re
from pathlib import Path

import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.settings import CORE_SETTINGS, Setting, Settings, find_config, load, plugin_options
from jsonrpc_tm.settings.types import KINDS, Record


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def problems(config: Path | None, environ=None, overrides=None, extra=()) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(config, environ or {}, overrides or {}, extra)
    return [re.sub(rf"^{re.escape(str(config))}:(?=\d)", "@", line) for line in str(caught.value).split("\n")]


def test_defaults_of_the_interface():
    settings = Settings.defaults()
    assert settings["server.host"] == "127.0.0.1"
    assert settings["server.port"] == 8443
    assert settings["server.path"] == "/rpc"
    assert settings["server.workers"] == 1
    assert settings["server.max_body"] == 64 * 1024 * 1024
    assert settings["server.max_batch"] == 1000
    assert settings["server.tls.mode"] == "dev"
    assert settings["storage.url"] == "sqlite:///tm.db"
    assert settings["storage.migrate"] is None
    assert settings["authentication"] == [{"x509": {}}]
    assert settings["authorization.default"] == "authenticated"
    assert settings["plugins.paths"] == settings["plugins.disable"] == []
    assert settings["catalog"] == {"name": "builtin"}
    assert settings["transformations.extendable_types"] == ["Simulation", "MCSimulation"]
    assert settings["monitoring.given_up_statuses"] == ["MissingInFC"]
    assert settings.folder == Path.cwd()


def test_every_default_is_a_value_that_validation_gives():
    for setting in CORE_SETTINGS:
        if setting.name not in ("authentication", "catalog"):
            assert setting.kind.deserialize(setting.default) == setting.default, setting.name
        assert setting.help.endswith("."), setting.name


def test_defaults_are_not_shared():
    Settings.defaults()["plugins.paths"].append("x")
    assert Settings.defaults()["plugins.paths"] == []


def test_file_then_environment_then_overrides(write):
    config = write("server: {host: 127.0.0.2, port: 1, path: /a}\n")
    environ = {"JSONRPC_TM__SERVER__PORT": "2", "JSONRPC_TM__SERVER__PATH": "/b", "OTHER": "x"}
    settings = load(config, environ, {"server.path": "/c"})
    assert settings.section("server")["host"] == "127.0.0.2"
    assert (settings["server.port"], settings["server.path"]) == (2, "/c")
    assert settings.folder == config.parent


def test_settings_are_a_mapping_that_hides_its_values():
    settings = Settings.defaults(client__token="very secret", server__port=0)
    assert len(settings) == len(list(settings)) == len(CORE_SETTINGS)
    assert settings["client.token"] == "very secret"
    assert "secret" not in repr(settings)
    with pytest.raises(KeyError, match=r"did you mean server\.port\?"):
        settings["server.prt"]
    assert not hasattr(settings, "__setitem__")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n  port: 70000\n", "@2: server.port: Must be at most 65535."),
        ("server:\n  port: '1'\n", "@2: server.port: Not an integer."),
        ("server:\n  prt: 1\n", "@2: server.prt: Unknown key (did you mean server.port?)."),
        ("port: 1\n", "@1: port: Unknown key (did you mean server.port?)."),
        ("sevrer:\n  port: 1\n", "@1: sevrer: Unknown key (did you mean server?)."),
        ("server: 5\n", "@1: server: Not an object."),
        ("- 5\n", "@1: Not an object."),
        ("server:\n  tls:\n    mode: of\n", "@3: server.tls.mode: Must be one of: dev, files, off."),
        ("server:\n  path: rpc\n", "@2: server.path: Not the path of a URL, such as /rpc."),
        ("server:\n  path: '/{x}'\n", "@2: server.path: Not the path of a URL, such as /rpc."),
        ("server:\n  path: //\n", "@2: server.path: Not the path of a URL, such as /rpc."),
        ("server:\n  max_body: 64 mib\n", "@2: server.max_body: Not a size (bytes, or a text such as 64 MiB)."),
        ("server:\n  host:\n", "@2: server.host: Field may not be null."),
        ("storage:\n  migrate: yes\n", "@2: storage.migrate: Not a boolean."),
        (
            "registry:\n  users:\n    alice:\n      dns: [/CN=a]\n      group: [a]\n",
            "@5: registry.users.alice.group: Unknown key (did you mean groups?).",
        ),
        (
            "registry:\n  users:\n    alice:\n      dns:\n        - /CN=a\n        - 5\n",
            "@6: registry.users.alice.dns[1]: Not a string.",
        ),
        ("authentication:\n  - x509:\n  - {a: 1, b: 2}\n", "@3: authentication[1]: Must be one name with"),
        ("authentication:\n  - x509: 5\n", "@2: authentication[0].x509: Not an object."),
        ("authorization:\n  default: anyone\n", "@2: authorization.default: Must be all, authenticated, or a list"),
        ("authorization:\n  methods: {ping: []}\n", "@2: authorization.methods.ping: Must be all, authenticated, or"),
        ("catalog: 5\n", "@1: catalog: Neither a name nor an object with a name."),
        ("hello:\n  world: 1\n", "@1: hello: Unknown key."),
    ],
)
def test_what_is_wrong_is_named_with_line_and_path(write, text, expected):
    (problem,) = problems(write(text))
    assert problem.startswith(expected)


def test_all_problems_are_told_at_once(write):
    config = write("server:\n  port: x\n  host: 5\n")
    assert problems(config, {"JSONRPC_TM__SERVER__WORKERS": "0"}, {"nothing": "1"}) == [
        "--set: nothing: Unknown setting.",
        "@3: server.host: Not a string.",
        "@2: server.port: Not an integer.",
        "environment: JSONRPC_TM__SERVER__WORKERS: server.workers: Must be at least 1.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"server: [\n", "@2: not YAML: expected the node content"),
        (b"server:\n  port: 1\n  port: 2\n", "@3: not YAML: the key 'port' is there already, in line 2"),
        (b"registry:\n  users:\n    a: {}\n    a: {}\n", "@4: not YAML: the key 'a' is there already, in line 3"),
        (b"? [a]\n: 1\n", "@1: not YAML: a key must be a word"),
        (b"server:\n  host: !!python/name:os.system\n", "@2: not YAML: could not determine a constructor"),
        (b"registry:\n  users: &a\n    b: *a\n", "{config}: not YAML: nested too deeply, or inside itself"),
        (b"\xff\xfe", "{config}: not UTF-8"),
        (b"a: \x00", "{config}: not YAML: special characters are not allowed"),
    ],
)
def test_what_is_no_yaml_is_refused_in_a_sentence(tmp_path, text, expected):
    config = tmp_path / "config.yaml"
    config.write_bytes(text)
    (problem,) = problems(config)
    assert problem.startswith(expected.format(config=config))


def test_files_that_cannot_be_read(tmp_path):
    assert problems(tmp_path / "none.yaml") == [f"cannot read {tmp_path / 'none.yaml'}: No such file or directory"]
    assert problems(tmp_path) == [f"cannot read {tmp_path}: Is a directory"]


def test_words_of_yaml(write):
    config = write(
        "server: {tls: {mode: off}, max_body: 1 KiB}\nstorage: {migrate: true, slow_statement: 0.5}\nclient:\n"
        "defaults: &d {groups: [on, no]}\n".replace("defaults: &d", "registry: {users: {a: &d")
        + "    , b: {<<: *d, suspended: true}, c: }}\n"
    )
    settings = load(config, {}, {})
    assert settings["server.tls.mode"] == "off"
    assert settings["server.max_body"] == 1024
    assert settings["storage.migrate"] is True
    assert settings["storage.slow_statement"] == 0.5
    nobody = {"dns": [], "subjects": [], "groups": [], "suspended": False}
    assert settings["registry.users"] == {
        "a": {**nobody, "groups": ["on", "no"]},
        "b": {**nobody, "groups": ["on", "no"], "suspended": True},
        "c": nobody,
    }


def test_an_empty_file_gives_the_defaults(write):
    assert dict(load(write("# nothing\n"), {}, {})) == dict(Settings.defaults())


def test_environment_reads_values_as_yaml_and_texts_as_they_are():
    environ = {
        "JSONRPC_TM__SERVER__TLS__MODE": "off",
        "JSONRPC_TM__SERVER__TLS__CRL": "",
        "JSONRPC_TM__CLIENT__TOKEN": "123",
        "JSONRPC_TM__STORAGE__MIGRATE": "false",
        "JSONRPC_TM__STORAGE__POOL_SIZE": "3",
        "JSONRPC_TM__PLUGINS__DISABLE": "[a, b]",
        "JSONRPC_TM__AUTHORIZATION__METHODS__cleanTransformation": "[ProductionManagement]",
        "JSONRPC_TM__REGISTRY__USERS__alice__groups": "[prod]",
        "JSONRPC_TM_CONFIG": "ignored here",
    }
    settings = load(None, environ, {})
    assert settings["server.tls.mode"] == "off"
    assert settings["server.tls.crl"] is None
    assert settings["client.token"] == "123"
    assert settings["storage.migrate"] is False
    assert settings["storage.pool_size"] == 3
    assert settings["plugins.disable"] == ["a", "b"]
    assert settings["authorization.methods"] == {"cleanTransformation": ("ProductionManagement",)}
    assert settings["registry.users"]["alice"]["groups"] == ["prod"]


def test_overrides_reach_below_a_setting_and_names_may_have_dots(write):
    config = write("authorization:\n  methods: {ping: authenticated}\n")
    overrides = {
        "authorization.methods.audit.tail": "all",
        "registry.hosts.tm.example.org.dns": "[/CN=tm.example.org]",
        "server.port": 0,
    }
    settings = load(config, {}, overrides)
    assert settings["authorization.methods"] == {"ping": "authenticated", "audit.tail": "all"}
    assert settings["registry.hosts"] == {"tm.example.org": {"dns": ["/CN=tm.example.org"], "properties": []}}
    assert settings["server.port"] == 0


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"server": "1"}, "--set: server: A section, not a setting; it has server.host, server.port"),
        ({"server.prot": "1"}, "--set: server.prot: Unknown setting (did you mean server.port?)."),
        ({"server.port.x": "1"}, "--set: server.port.x: server.port has nothing below it."),
        ({"server.port": "["}, "--set: server.port: Not a YAML value."),
        ({"registry.users.a.suspended": "1"}, "--set: registry.users.a.suspended: Not a b"),
    ],
)
def test_wrong_overrides(overrides, expected):
    (problem,) = problems(None, {}, overrides)
    assert problem.startswith(expected)


def test_wrong_environment_variable():
    assert problems(None, {"JSONRPC_TM__SERVER__PROT": "1"}) == [
        "environment: JSONRPC_TM__SERVER__PROT: Unknown setting (did you mean server.port?)."
    ]


def test_settings_of_plugins_are_validated_alike(write):
    extra = [Setting("hello.count", "integer", 3, "A number."), Setting("hello.words", "texts", None, "Words.")]
    settings = load(write("hello: {count: 4}\n"), {}, {}, extra)
    assert settings.section("hello") == {"count": 4, "words": None}
    assert problems(write("hello:\n  cuont: 4\n"), extra=extra) == [
        "@2: hello.cuont: Unknown key (did you mean hello.count?)."
    ]
    assert problems(write("hallo:\n  count: 4\n"), extra=extra) == ["@1: hallo: Unknown key (did you mean hello?)."]
    assert problems(None, extra=[*extra, extra[0]]) == ["the setting hello.count is there twice"]
    inside = Setting("server.port.x", "text", "", "Nothing.")
    assert problems(None, extra=[inside]) == ["the setting server.port.x is inside the setting server.port"]


def test_an_unknown_type_of_setting_is_refused():
    with pytest.raises(ConfigurationError, match="no type of settings is called 'int'; there are boolean, integer"):
        Setting("hello.count", "int", 3, "A number.")
    assert {"boolean", "integer", "number", "seconds", "size", "text", "path", "texts", "object"} == set(KINDS)


def test_plugin_options_look_at_nothing_else(write):
    config = write("plugins: {paths: [mine, /abs/x.py], disable: [a]}\nhello: {unknown: 5}\nserver: {port: x}\n")
    options = plugin_options(config, {"JSONRPC_TM__NEW__THING": "1"}, {"other.thing": "1"})
    assert options.paths == (config.parent / "mine", Path("/abs/x.py"))
    assert options.disable == ("a",)
    with pytest.raises(ConfigurationError, match=r"config\.yaml:1: plugins\.paths: Not a list"):
        plugin_options(write("plugins: {paths: mine}\n"), {}, {})


@pytest.mark.parametrize(
    "name", ["server.body_timeout", "storage.timeout", "storage.statement_timeout", "client.timeout"]
)
def test_no_time_at_all_is_not_taken_for_endless(name):
    assert load(None, {}, {name: 0.5})[name] == 0.5
    with pytest.raises(ConfigurationError, match=rf"{name}: Must be more than 0\."):
        load(None, {}, {name: 0})


def test_a_later_finding_names_the_place(write):
    config = write("authentication:\n  - x509:\n      proxies: maybe\nauthorization:\n  methods:\n    pong: all\n")
    settings = load(config, {}, {"server.path": "/x"})
    error = settings.wrong("authorization.methods", "pong", message="no such method.")
    assert str(error) == f"{config}:6: authorization.methods.pong: no such method."
    assert str(settings.wrong("server.path", message="bad.")) == "--set: server.path: bad."
    assert str(settings.wrong("server.host", message="bad.")) == "server.host: bad."
    options = Record({"proxies": fields.Boolean(load_default=False)})
    with pytest.raises(ConfigurationError) as caught:
        settings.check("authentication", 0, "x509", field=options, value=settings["authentication"][0]["x509"])
    assert str(caught.value) == f"{config}:3: authentication[0].x509.proxies: Not a boolean."
    assert settings.check("authentication", 0, "x509", field=options, value={}) == {"proxies": False}


def test_paths_are_relative_to_the_file(write):
    config = write("server: {tls: {key: certs/key.pem}}\n")
    settings = load(config, {}, {})
    assert settings.path("server.tls.key") == config.parent / "certs/key.pem"
    assert settings.path("server.tls.crl") is None


def test_the_file_that_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(None, {}) is None
    (tmp_path / "config.yaml").write_text("")
    assert find_config(None, {}) == Path("config.yaml")
    assert find_config(None, {"JSONRPC_TM_CONFIG": "b.yaml"}) == Path("b.yaml")
    assert find_config("c.yaml", {"JSONRPC_TM_CONFIG": "b.yaml"}) == Path("c.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "authorization:\n  methods:\n    ping: all\n    pong: all\n",
            "@4: authorization.methods.pong: there is no method ",
        ),
        (
            "authentication:\n  - x509\n  - x510: {}\n",
            "@3: no plugin provides the authenticator 'x510' (did you mean x509?)",
        ),
        ("catalog:\n  name: other\n", "@2: no plugin provides the catalog 'other'; there are builtin"),
    ],
)
def test_what_only_the_plugins_know_is_named_with_its_line_too(write, text, message):
    config = write(text)
    with pytest.raises(ConfigurationError) as caught:
        create_service(config, {}, {"storage.url": "sqlite://:memory:"})
    assert str(caught.value).replace(f"{config}:", "@").startswith(message)
