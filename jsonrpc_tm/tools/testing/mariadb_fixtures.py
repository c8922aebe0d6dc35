"""Pytest fixtures of a private MariaDB server; import them in a ``conftest.py``."""

from collections.abc import Iterator

import pytest

from .mariadb import MariaDB, MariaDBMissing, find_server, running


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB server of the test session; tests that need it are skipped where there is none."""
    try:
        find_server()
    except MariaDBMissing as missing:
        pytest.skip(str(missing))
    with running(tmp_path_factory.mktemp("mariadb") / "m") as server:
        yield server


@pytest.fixture
def mysql_url(mariadb: MariaDB) -> Iterator[str]:
    """The storage URL of an empty database of the test's own."""
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.drop_database(name)
