import pytest


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def url(request: pytest.FixtureRequest) -> str:
    """The storage URL of an empty database, of each kind."""
    return "sqlite://:memory:" if request.param == "sqlite" else str(request.getfixturevalue("mysql_url"))
