"""A connection that breaks at any point of a transaction: the transaction happens once, or the caller knows."""

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from tests.mysql.proxy import Proxy

pytestmark = pytest.mark.mariadb

# START TRANSACTION, two statements of the body, the marker, COMMIT
COMMANDS = 5
COMMIT = COMMANDS - 1


@pytest.fixture
async def proxy(mariadb):
    async with Proxy(mariadb.port) as proxy:
        yield proxy


@pytest.fixture
async def storage(proxy, open_mysql, mysql_url, mariadb):
    url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
    async with open_mysql(url, timeout=2) as storage:
        await storage.run("warm up", _count, read=False)
        yield storage


async def _count(tx):
    return await tx.fetch_value("SELECT COUNT(*) FROM DataFiles")


class Body:
    """Adds a file of another name each time it runs, so that nothing hides a second effect."""

    runs = 0

    async def __call__(self, tx):
        self.runs += 1
        name = f"/run/{self.runs}"
        await tx.insert("INSERT INTO DataFiles (LFN) VALUES (:name)", {"name": name})
        return await tx.fetch_value("SELECT LFN FROM DataFiles WHERE LFN = :name", {"name": name})


async def _lfns(tx):
    return [row["LFN"] for row in await tx.fetch_all("SELECT LFN FROM DataFiles ORDER BY FileID")]


async def test_a_transaction_has_as_many_commands_as_assumed(storage, proxy):
    proxy.arm(-1, "")
    await storage.run("add", Body())
    assert proxy.commands == COMMANDS


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("point", range(COMMANDS))
async def test_it_happens_exactly_once(storage, proxy, point, mode):
    body = Body()
    proxy.arm(point, mode)
    result = await storage.run("add", body)
    # the first run counts when the server got its COMMIT, or when the body had not begun
    assert result == ("/run/1" if point == 0 or (point, mode) == (COMMIT, "after") else "/run/2")
    assert await storage.run("lfns", _lfns, read=True) == [result]


async def test_a_commit_that_arrives_late_is_waited_for(storage, proxy):
    body = Body()
    proxy.arm(COMMIT, "late")
    assert await storage.run("add", body) == "/run/1"
    assert await storage.run("lfns", _lfns, read=True) == ["/run/1"]


async def test_a_server_that_does_not_come_back_makes_the_outcome_unknown(storage, proxy):
    storage.runner.timeout = 0.5
    proxy.arm(COMMIT, "after")
    proxy.refusing = True
    with pytest.raises(StorageUnavailable) as raised:
        await storage.run("add", Body())
    assert raised.value.data == {"retryable": True, "outcome": "unknown"}


async def test_a_transaction_held_open_makes_the_outcome_unknown(open_mysql, mysql_url, mariadb, proxy):
    url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
    async with open_mysql(url, timeout=1) as storage:
        await storage.run("warm up", _count)
        storage.runner.timeout = 0.5
        proxy.arm(COMMIT, "held")
        with pytest.raises(StorageUnavailable) as raised:
            await storage.run("add", Body())
        assert raised.value.data["outcome"] == "unknown"


async def test_before_the_commit_a_lost_server_leaves_nothing_unknown(storage, proxy):
    storage.runner.timeout = 0.5
    proxy.arm(1, "before")
    proxy.refusing = True
    with pytest.raises(StorageUnavailable) as raised:
        await storage.run("add", Body())
    assert raised.value.data == {"retryable": True}
    proxy.refusing = False
    assert await storage.run("lfns", _lfns, read=True) == []


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("point", range(4))
async def test_reading_transactions_answer_whatever_breaks(storage, proxy, point, mode):
    await storage.run("add", Body())
    await storage.run("lfns", _lfns, read=True)
    proxy.arm(point, mode)
    assert await storage.run("lfns", _lfns, read=True) == ["/run/1"]
    assert await storage.run("lfns", _lfns, read=True) == ["/run/1"]


async def test_an_abandoned_transaction_can_never_happen(storage, open_mysql):
    """A COMMIT found not to have happened cannot happen any more: its marker is taken."""
    from jsonrpc_tm.storage.mysql import storage as mysql
    from jsonrpc_tm.storage.mysql.driver import driver

    assert await storage._look_up("f" * 32) is False
    assert await storage._look_up("f" * 32) is False

    async def late(tx):
        await tx.execute(mysql._MARK, {"marker": "f" * 32, "abandoned": 0})

    with pytest.raises(driver.IntegrityError):
        await storage.run("late", late)
