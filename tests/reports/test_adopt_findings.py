"""Row D of the reports: whatever can stop an adoption, or surprise, is said by the dry run, and only that."""

import shutil
from collections import namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.cli.main import run
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.tools.adopt.account import rights
from jsonrpc_tm.tools.adopt.adoption import adopt, examine
from jsonrpc_tm.tools.adopt.values import broken, decoded, task_number
from tests.tools.adopt import layouts

ACCOUNT = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "LOCK TABLES", "REFERENCES")
"""What DIRAC's own account has."""


@pytest.fixture(scope="module")
def make(mariadb):
    """Make a database of a layout; return its name and its storage."""
    made = []

    def make(layout=layouts.OCTOBER, statements="", user="root"):
        name = mariadb.create_database()
        made.append(name)
        mariadb.sql(layouts.schema(layout) + layouts.healthy(layout) + statements, name)
        url = mariadb.url(name).replace("//root", f"//{user}")
        return name, MySQLProvider().open(url, migrate=False, migrations=(), options={})

    yield make
    for name in made:
        mariadb.drop_database(name)


@pytest.fixture(scope="module")
def looked_at(make):
    """A database that is only looked at."""
    return make()


def by_code(found):
    return {finding.code: finding for finding in found.findings}


@pytest.mark.mariadb
async def test_d2_the_account_needs_each_right(mariadb, looked_at):
    database, _ = looked_at
    storage = MySQLProvider().open(
        mariadb.url(database).replace("//root", "//dirac:p"), migrate=False, migrations=(), options={}
    )
    mariadb.sql("CREATE USER 'dirac'@'127.0.0.1' IDENTIFIED BY 'p'")
    # an underscore in a grant stands for any character; DIRAC's own account has everything but TRIGGER
    mariadb.sql(f"GRANT {', '.join(ACCOUNT)} ON `{database}`.* TO 'dirac'@'127.0.0.1'")
    lacking = by_code(await examine(storage))["rights"]
    assert lacking.blocking
    assert lacking.examples == (f"GRANT TRIGGER ON `{database}`.* TO 'dirac'@'127.0.0.1';",)
    mariadb.sql(lacking.examples[0])
    assert not by_code(await examine(storage))
    for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"):
        mariadb.sql(f"REVOKE {right} ON `{database}`.* FROM 'dirac'@'127.0.0.1'")
        found = by_code(await examine(storage))
        assert found["rights"].examples == (f"GRANT {right} ON `{database}`.* TO 'dirac'@'127.0.0.1';",)
        mariadb.sql(found["rights"].examples[0])
    # through a role it counts once the role is active
    mariadb.sql(
        f"REVOKE DROP ON `{database}`.* FROM 'dirac'@'127.0.0.1'; CREATE ROLE keeper;"
        f"GRANT DROP ON `{database}`.* TO keeper; GRANT keeper TO 'dirac'@'127.0.0.1'"
    )
    assert "rights" in by_code(await examine(storage))
    mariadb.sql("SET DEFAULT ROLE keeper FOR 'dirac'@'127.0.0.1'")
    assert not by_code(await examine(storage))


@pytest.mark.mariadb
def test_d2_lacking_rights_end_the_dry_run_with_2(mariadb, looked_at, capfd):
    database, _ = looked_at
    mariadb.sql("CREATE USER 'few'@'127.0.0.1'; GRANT SELECT ON *.* TO 'few'@'127.0.0.1'")
    url = mariadb.url(database).replace("//root", "//few")
    assert run(["db", "adopt", "--dry-run", "--set", f"storage.url={url}"]) == 2
    out, error = capfd.readouterr()
    for right in ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "TRIGGER"):
        assert f"GRANT {right} ON `{database}`.* TO 'few'@'127.0.0.1';" in out
    assert "GRANT SELECT" not in out
    assert run(["db", "adopt", "--set", f"storage.url={url}"]) == 2
    out, error = capfd.readouterr()
    assert "GRANT TRIGGER" in error
    assert "bug" not in error


@pytest.mark.parametrize(
    ("grant", "held"),
    [
        ("GRANT ALL PRIVILEGES ON *.* TO `a`@`b` WITH GRANT OPTION", {"ALL PRIVILEGES"}),
        ("GRANT SELECT, LOCK TABLES ON `tm\\_db`.* TO `a`@`b`", {"SELECT", "LOCK TABLES"}),
        ("GRANT SELECT ON `tm_db`.* TO `a`@`b`", {"SELECT"}),
        ("GRANT SELECT ON `tm%`.* TO `a`@`b`", {"SELECT"}),
        ("GRANT SELECT ON `tm\\%`.* TO `a`@`b`", set()),
        ("GRANT SELECT ON `other`.* TO `a`@`b`", set()),
        ("GRANT SELECT ON `tm_db`.`Transformations` TO `a`@`b`", set()),
        ("GRANT `role` TO `a`@`b`", set()),
    ],
)
def test_d2_grants_are_read(grant, held):
    assert rights([grant], "tm_db") == held


BLOCKING = {
    "types": "ALTER TABLE TaskInputs DROP FOREIGN KEY TaskInputs_ibfk_1, MODIFY TaskID VARCHAR(20)",
    "odd names": "ALTER TABLE TaskInputs ADD COLUMN `a:b` INT",
    "columns": "ALTER TABLE TaskInputs DROP COLUMN InputVector",
    "duplicate-keys": "ALTER TABLE AdditionalParameters DROP PRIMARY KEY, ADD INDEX (TransformationID);"
    "INSERT INTO AdditionalParameters VALUES (1, 'Text', 'again', 'StringType')",
    "duplicate-files": "ALTER TABLE DataFiles DROP INDEX LFN; INSERT INTO DataFiles (FileID, LFN) VALUES (7, '/b')",
    "names": "CREATE TABLE TaskCounters (x INT)",
    "lengths": "ALTER TABLE Transformations MODIFY TransformationGroup TEXT NOT NULL, MODIFY Type TEXT;"
    "UPDATE Transformations SET Type = REPEAT('x', 701) WHERE TransformationID = 1",
    "nulls": "ALTER TABLE Transformations MODIFY AuthorGroup VARCHAR(255);"
    "UPDATE Transformations SET AuthorGroup = NULL WHERE TransformationID = 1",
    "ranges": "ALTER TABLE TransformationFiles MODIFY TaskID BIGINT UNSIGNED;"
    "UPDATE TransformationFiles SET TaskID = 18446744073709551615 WHERE FileID = 2",
    "packet": "UPDATE Transformations SET Body = REPEAT('x', 8500000) WHERE TransformationID = 1",
}


@pytest.mark.mariadb
@pytest.mark.parametrize("code", BLOCKING)
async def test_d2_what_would_stop_the_run_is_said_before(mariadb, make, code):
    database, storage = make(statements="SET foreign_key_checks = 0;" + BLOCKING[code])
    found = await examine(storage)
    expected = code if code != "odd names" else "types"
    assert [finding.code for finding in found.findings if finding.blocking] == [expected]
    assert by_code(found)[expected].examples
    with pytest.raises(ConfigurationError, match="cannot be adopted as it is"):
        await adopt(storage)
    assert "adopt_" not in mariadb.sql("SHOW TABLES", database)
    mariadb.drop_database(database)
    mariadb.sql(f"CREATE DATABASE {database}")


@pytest.mark.mariadb
async def test_d2_dates_that_are_none_are_counted(mariadb, make):
    dates = ["0000-00-00", "2015-00-10", "2015-02-00", "2015-02-31", "2016-02-29", "2015-12-31 23:59:59.75"]
    statements = (
        "SET sql_mode = 'ALLOW_INVALID_DATES';\nALTER TABLE TransformationLog MODIFY MessageDate DATETIME(2) NOT NULL;"
    )
    for number, date in enumerate(dates, 10):
        statements += f"""
        INSERT INTO TransformationLog (recid, TransformationID, Message, MessageDate)
          VALUES ({number}, 1, 'x', '{date}');
        INSERT INTO Transformations (TransformationID, TransformationName, Author, AuthorGroup, CreationDate)
          VALUES ({number}, 'name {number}', 'a', 'g', '{date}');"""
    database, storage = make(statements=statements)
    found = await examine(storage)
    assert [(finding.code, finding.text[:1], finding.examples) for finding in found.findings] == [
        ("dates", "4", ("10", "11", "12", "13")),
        ("dates", "4", ("10", "11", "12", "13")),
        ("fractions", "1", ("15",)),
    ]
    report = await adopt(storage)
    assert report.warnings == []
    kept = ["2016-02-29 00:00:00", "2015-12-31 23:59:59"]
    for query, nothing in (
        ("SELECT CreationDate FROM Transformations WHERE TransformationID > 9 ORDER BY TransformationID", "NULL"),
        ("SELECT MessageDate FROM TransformationLog WHERE recid > 9 ORDER BY recid", "1970-01-01 00:00:00"),
    ):
        assert mariadb.sql(query, database).splitlines() == [*[nothing] * 4, *kept]


@pytest.mark.mariadb
async def test_d2_room_on_the_disk_is_looked_at(looked_at, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    found = by_code(await examine(looked_at[1]))
    assert found["room"].blocking
    assert "1,000 left" in found["room"].text


@pytest.mark.mariadb
async def test_d2_what_an_operator_can_mend_is_no_bug(mariadb, make, capfd):
    # a server that begins to refuse in the middle
    database, storage = make()

    def advance(*_):
        mariadb.sql("DROP TABLE IF EXISTS adopt_TaskInputs", database)

    with pytest.raises(ConfigurationError, match=r"refuses: .*adopt_TaskInputs.*it goes on where it ended"):
        await adopt(storage, advance=advance)
    report = await adopt(storage, restart=True)
    assert report.results["TaskInputs"].copied == 2


@pytest.mark.mariadb
def test_d1_authors_are_users_of_the_registry(mariadb, make, capfd, tmp_path):
    database, _ = make(layouts.V7R0, layouts.dirt(layouts.V7R0)[0])
    # any of the user's DNs, however it is spelled; and the user need not be one who may call
    (tmp_path / "config.yaml").write_text(
        f"""
        storage: {{url: "{mariadb.url(database)}"}}
        registry:
          users:
            alice: {{dns: ["/DC=org/CN=Alice New", "/dc=org/cn=Alice"], suspended: true}}
        """
    )
    command = ["db", "adopt", "--config", str(tmp_path / "config.yaml")]
    assert run([*command, "--dry-run"]) == 0
    out, error = capfd.readouterr()
    assert (
        f"1 DN(s) of authors belong to no user of the registry; the DN becomes the author's name.\n    {layouts.NOBODY}"
        in out
    )
    assert "Author: the registry's user of AuthorDN, else the DN" in out
    assert "`catalog: none`" in out
    assert error == ""
    assert run(command) == 0
    out, error = capfd.readouterr()
    assert "Warning" not in error
    assert mariadb.sql("SELECT Author FROM Transformations", database).split("\n") == [
        "alice",
        "alice",
        layouts.NOBODY,
        "",
    ]


@pytest.mark.mariadb
def test_d4_all_lists_every_id(mariadb, make, capfd):
    columns = "(TransformationID, TransformationName, Author, AuthorGroup, Body)"
    rows = [f"({n}, 'broken {n}', 'a', 'g', '\"<a b=\\\\\"1\\\\\"/>\"')" for n in range(10, 22)]
    rows += [f"({n}, 'fine {n}', 'a', 'g', '<a b=\"1\"/>')" for n in range(110, 122)]
    database, _ = make(statements=f"INSERT INTO Transformations {columns} VALUES {', '.join(rows)}")
    command = ["db", "adopt", "--dry-run", "--set", f"storage.url={mariadb.url(database)}"]
    assert run(command) == 0
    out, error = capfd.readouterr()
    assert error == ""
    assert "12 bodies" in out
    assert "    14\n" in out
    assert "    15\n" not in out
    assert out.count("--all lists every one") == 1
    assert "becomes BIGINT" not in out
    assert run([*command, "--all"]) == 0
    out, _ = capfd.readouterr()
    listed = [line.strip() for line in out.splitlines() if line.strip().isdigit()]
    assert listed == [str(number) for number in range(10, 22)]
    assert "Transformations.TransformationID: int(11) NOT NULL AUTO_INCREMENT becomes BIGINT" in out


WORKFLOW = """<Workflow>
<Parameter name="JobType" linked_module="" in="True"><value><![CDATA[it's \\"x\\" and a \\n]]></value></Parameter>
</Workflow>"""
HEALTHY = [
    WORKFLOW,
    "",
    '""',
    '"',
    '[["a", {"b": "c\\n"}]]',
    '{"a": ""}',
    'a: "b"\nc: "d\\n"',
    '"a" and "b"',
    "\"<a b='c'/>\"",
    '"<a>\n</a>"',
    '"just a text"',
    '"a JSON string with \\"quotes\\""',
    '"<a b=\\"1\\">not closed"',
    '"[1, 2"',
]


@pytest.mark.parametrize("body", HEALTHY)
def test_d4_a_healthy_body_is_not_named(body):
    assert not broken(body)


@pytest.mark.parametrize("body", [WORKFLOW, "<a/>", '[["a", {"b": "c\\n"}]]', '{"a": ""}', '<a b="ü">\r\n\t</a>'])
def test_d4_a_broken_body_is_named(body):
    literal = (
        body.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    )
    assert broken(f'"{literal}"')
    assert not broken(body)


@given(st.text())
def test_d4_any_text_is_looked_at(text):
    assert broken(f'"{text}"') in (True, False)


@given(st.binary())
def test_d1_bytes_become_utf8_else_latin1(value):
    text, sound = decoded(value)
    assert text.encode("utf-8" if sound else "latin-1") == value


@given(st.integers(0, 2**40), st.integers(0, 10**6 - 1))
def test_d1_inherited_task_numbers_are_read(parent, task):
    number = parent * 1_000_000 + task
    expected = number if number < 2**63 else None
    assert task_number(f"{parent:08d}_{task:08d}") == expected
    assert task_number(str(number)) == expected


@pytest.mark.parametrize("text", ["", "x", "1_", "_1", "1_2_3", " 1", "-1", "1.5", "１", "9" * 30])
def test_d1_other_texts_are_no_task_numbers(text):
    assert task_number(text) is None
