"""``jsonrpc-tm db adopt`` on the command line."""

import pytest

from jsonrpc_tm.cli.main import run
from tests.tools.adopt import reference

pytestmark = pytest.mark.mariadb


@pytest.fixture
def adopt(mariadb, capfd):
    database = reference.build(mariadb, files=300)

    def adopt(*options):
        code = run(["db", "adopt", "--set", f"storage.url={mariadb.url(database)}", *options])
        return code, capfd.readouterr()

    yield adopt
    mariadb.drop_database(database)


def test_the_three_steps(adopt):
    code, (out, _) = adopt("--dry-run")
    assert code == 0
    assert "102 becomes 'twice__102'" in out
    assert "TransformationFiles: 607 row(s) copied, 5000 at a time, compared" in out
    code, (out, progress) = adopt("--chunk", "100")
    assert code == 0
    assert "copy TransformationFiles" in progress
    assert "The database is adopted." in out
    line = next(line for line in out.splitlines() if line.startswith("TransformationFiles "))
    assert line.split()[1:4] == ["607", "604", "3"]
    code, (out, _) = adopt("--drop-old")
    assert "dropped reference_Transformations" in out


def test_what_is_adopted_is_not_adopted_again(adopt):
    adopt()
    code, (out, error) = adopt()
    assert code == 2
    assert "already" in error
    code, (out, _) = adopt("--dry-run")
    assert code == 1
    assert "TO BE MENDED" in out


def test_other_databases_are_refused(capfd, tmp_path):
    assert run(["db", "adopt", "--set", f"storage.url=sqlite:///{tmp_path}/x.db"]) == 2
    assert "mysql://" in capfd.readouterr().err
