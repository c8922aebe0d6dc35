"""Everything that `serve` would refuse, told at once, with the place; and by the same function."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from jsonrpc_tm.auth import devcerts, dn
from jsonrpc_tm.cli.main import run


@pytest.fixture
def tm(tmp_path, monkeypatch, capsys):
    """Give a function that runs a command in a folder with a configuration: exit code, and the lines of errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JSONRPC_TM_CONFIG", raising=False)

    def tm(text: str, *words: str) -> tuple[int, list[str]]:
        (tmp_path / "config.yaml").write_text(text)
        code = run(list(words))
        _, err = capsys.readouterr()
        return code, [line.removeprefix("Error: config.yaml:") for line in err.splitlines()]

    return tm


MANY = """\
server:
  tls: {mode: files, certificate: none.pem, key: none.key, client_ca: ca.pem}
storage: {url: "sqlite:///:memory:"}
catalog: builtn
authentication:
  - x509: {proxies: maybe}
  - jwt:
      issuers:
        - issuer: https://a
          jwks: keys.json
        - {issuer: https://a, jwks: keys.json, audience: x, algorithms: [HS256]}
  - x510
registry:
  users:
    alice:
      dns: [/CN=a, alice]
      groups: [nobody, prod]
    bob:
      dns: [/CN=a]
  groups: {prod: {}}
authorization:
  methods: {pong: all}
"""
FOUND = [
    "3: storage.url 'sqlite:///:memory:': a database in memory is sqlite://:memory:",
    "17: registry.users.alice.groups[0]: there is no group 'nobody'",
    "16: registry.users.alice.dns[1]: 'alice' is not a DN",
    "19: registry.users.bob.dns[0]: '/CN=a' is there already, for alice",
    "4: no plugin provides the catalog 'builtn' (did you mean builtin?)",
    "6: authentication[0].x509.proxies: Not a boolean.",
    "9: authentication[1].jwt.issuers[0].audience: Missing",
    "11: authentication[1].jwt.issuers[1].issuer: The issuer is there already.",
    "11: authentication[1].jwt.issuers[1].algorithms: Must be some of",
    "12: no plugin provides the authenticator 'x510' (did you mean x509?)",
    "22: authorization.methods.pong: there is no method 'pong' (did you mean ping?)",
    "2: server.tls.key: {folder}/none.key cannot be used: No such file or directory",
    "2: server.tls.certificate: {folder}/none.pem cannot be used: No such file or directory",
    "2: server.tls.client_ca: {folder}/ca.pem cannot be used: No such file or directory",
]


def test_b6_all_is_told_at_once_and_by_serve_and_settings_too(tm, tmp_path):
    told = tm(MANY, "check-config")
    assert told == (2, told[1])
    for line, expected in zip(told[1], FOUND, strict=True):
        assert line.startswith(expected.format(folder=tmp_path))
    # one function: they cannot drift
    assert tm(MANY, "serve") == told
    assert tm(MANY, "settings") == told
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_b6_what_only_follows_from_another_problem_is_not_told(tm, tmp_path):
    text = "registry:\n  users: {alice: {groups: [prod]}}\n  groups: {prod: 5}\nauthorization: {methods: {pong: all}}\n"
    code, lines = tm(text, "check-config")
    assert code == 2
    assert [line.partition(" ")[2].partition(": ")[0] for line in lines] == [
        "registry.groups.prod",
        "authorization.methods.pong",
    ]
    (tmp_path / "a.py").write_text("1 / 0\n")
    (tmp_path / "b.py").write_text("nothing = 0\n")
    code, lines = tm("plugins: {paths: [a.py, b.py, c.py]}\nmine: {x: 1}\nserver: {port: x}\n", "check-config")
    assert [line.partition(": ")[2] or line for line in lines] == [
        f"plugins.paths: {tmp_path}/c.py does not exist",
        f"plugin a ({tmp_path}/a.py) cannot be loaded: ZeroDivisionError: division by zero",
        f"plugin b ({tmp_path}/b.py) implements no hook; mark its functions with @hookimpl",
        "server.port: Not an integer.",
    ]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = devcerts.ensure(tmp_path_factory.mktemp("keys"), {"alice": "/CN=alice"}).path
    (folder / "empty").mkdir()
    (folder / "garbage").write_text("garbage")
    (folder / "keys.json").write_text("[]")
    authority = trustme.CA.from_pem((folder / "ca.pem").read_bytes(), (folder / "ca.key").read_bytes())
    ended = datetime.now(UTC) - timedelta(hours=1)
    for kind, part in zip(("pem", "key"), devcerts.sign(authority, dn.parse("/CN=old"), expires=ended), strict=True):
        (folder / f"old.{kind}").write_bytes(devcerts.pem(part))
    (folder / "old.key").chmod(0o600)
    return folder


TLS = "{mode: files, certificate: KEYS/server.pem, key: KEYS/server.key, client_ca: KEYS/ca.pem}"
REFUSED = {
    "hosts as a group": (
        "registry: {users: {a: {}}, groups: {hosts: {}}}",
        "registry.groups.hosts: this is the group of the hosts",
    ),
    "a host like a user": ("registry: {users: {a: {}}, hosts: {a: {}}}", "registry.hosts.a: there is a user"),
    "a DN of two hosts": (
        "registry: {hosts: {a: {dns: [/CN=a]}, b: {dns: [/cn=a]}}}",
        "registry.hosts.b.dns[0]: '/CN=a' is there already, for a",
    ),
    "a subject twice": (
        "registry: {users: {a: {subjects: [s]}, b: {subjects: [s]}}}",
        "registry.users.b.subjects[0]: 's' is there already, for a",
    ),
    "a key of another pair": (
        "server: {tls: " + TLS.replace("server.key", "alice.key") + "}",
        "server.tls.key: KEYS/alice.key is not the key of the certificate KEYS/server.pem",
    ),
    "a certificate that has ended": (
        "server: {tls: " + TLS.replace("/server.", "/old.") + "}",
        "server.tls.certificate: KEYS/old.pem expired on",
    ),
    "no certificate": ("server: {tls: {mode: files}}", "server.tls.mode: files needs server.tls.certificate"),
    "a certificate that is none": (
        "server: {tls: " + TLS.replace("server.pem", "garbage") + "}",
        "server.tls.certificate: KEYS/garbage cannot be used",
    ),
    "authorities that are none": (
        "server: {tls: " + TLS.replace("ca.pem", "garbage") + "}",
        "KEYS/garbage has no certificates",
    ),
    "a folder without hashed names": (
        "server: {tls: " + TLS.replace("ca.pem", "empty") + "}",
        "server.tls.client_ca: KEYS/empty cannot be used: it has no files with hashed names",
    ),
    "revocation lists that are not there": (
        "server: {tls: " + TLS.replace("}", ", crl: none}") + "}",
        "server.tls.crl: FOLDER/none cannot be used: No such file or directory",
    ),
    "a strange folder in dev mode": (
        "server: {tls: {folder: strange}}",
        "FOLDER/strange is not a folder of development certificates: it has file",
    ),
    "a file as the folder of dev mode": ("server: {tls: {folder: config.yaml}}", "FOLDER/config.yaml cannot be"),
    "no TLS for all the world": (
        "server: {host: 0.0.0.0, tls: {mode: off}}",
        "server.tls.mode: off on 0.0.0.0 would let everybody",
    ),
    "memory for each worker": (
        "server: {workers: 2}\nstorage: {url: 'sqlite://:memory:'}",
        "server.workers: each process would have a database of its own",
    ),
    "a scheme that nobody knows": ("storage: {url: 'sqlit:///x'}", "no plugin provides the storage 'sqlit'"),
    "a URL that is none": ("storage: {url: tm.db}", "storage.url 'tm.db' is not a URL"),
    "a database server without a database": ("storage: {url: 'mysql://u:pw@h'}", "storage.url 'mysql://u:***@h' must"),
    "TLS with the database without its files": (
        "storage: {url: 'mysql://u:pw@h/d', tls: {enabled: true, ca: none}}",
        "storage.tls.ca: FOLDER/none cannot be used: No such file or directory",
    ),
    "an option file that is not there": (
        "storage: {url: 'mysql://u@h/d', read_default_file: none.cnf}",
        "storage.read_default_file: FOLDER/none.cnf cannot be read",
    ),
    "no issuers": ("authentication: [{jwt: {issuers: []}}]", "authentication[0].jwt.issuers: Must be a list"),
    "keys that are none": (
        "authentication: [{jwt: {issuers: [{issuer: i, audience: a, jwks: 'KEYS/keys.json'}]}}]",
        "authentication[0].jwt.issuers[0].jwks: KEYS/keys.json is not a JSON Web Key Set",
    ),
    "keys over a plain connection": (
        "authentication: [{jwt: {issuers: [{issuer: i, audience: a, jwks: 'http://idp.example.org/k'}]}}]",
        "authentication[0].jwt.issuers[0].jwks: http://idp.example.org/k: keys come over https",
    ),
    "addresses that are none": (
        "authentication: [{x509: {balancers: [nowhere]}}]",
        "authentication[0].x509.balancers: ",
    ),
    "an option that the catalog does not have": ("catalog: {name: builtin, x: 1}", "catalog: the built-in catalog has"),
    "a setting that no plugin has": ("audit_log: {pth: x}", "audit_log.pth: Unknown key (did you mean audit_log.path"),
    "a plugin that is not there": ("plugins: {disable: [nothing]}", "plugins.disable names nothing"),
    "a path of a plugin's that is not there": ("plugins: {paths: [none.py]}", "plugins.paths: FOLDER/none.py does"),
    "a path that is taken": ("server: {path: /health/live}", "the path '/health/live' is served by both"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_b6_every_refusal_is_told_with_its_line(tm, tmp_path, keys, case):
    text, expected = REFUSED[case]
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange/file").touch()
    code, lines = tm("# a line\n" + text.replace("KEYS", str(keys)), "check-config")
    expected = expected.replace("KEYS", str(keys)).replace("FOLDER", str(tmp_path))
    assert code == 2
    assert any(expected in line for line in lines), lines
    lines = [line for line in lines if not line.startswith("Warning: ")]
    if expected.partition(".")[0] in ("server", "storage", "registry", "authentication", "catalog", "plugins"):
        assert lines[0].partition(":")[0] in ("2", "3")


def test_b6_environment_and_options_are_named_as_the_source(tm, monkeypatch, tmp_path):
    monkeypatch.setenv("JSONRPC_TM__STORAGE__URL", "tm.db")
    code, lines = tm("", "check-config", "--set", "catalog=other")
    assert code == 2
    assert [line.removeprefix("Error: ").partition(": ")[0] for line in lines] == ["environment", "--set"]
    assert "JSONRPC_TM__STORAGE__URL" in lines[0]


def test_b6_a_right_configuration_is_right_and_nothing_is_made(tm, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("server: {port: 1}\n")
    assert run(["check-config"]) == 0
    assert capsys.readouterr() == ("config.yaml is right.\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_b6_the_shipped_configuration_is_right(monkeypatch, capsys):
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    assert run(["check-config"]) == 0
    assert capsys.readouterr().out == "config.yaml is right.\n"
