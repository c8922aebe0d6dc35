"""A connection that breaks at any point of a transaction: the transaction happens once, or the caller knows."""

import asyncio
import time

import pytest

from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.rpc.retries import when_free
from jsonrpc_tm.storage import keys
from jsonrpc_tm.storage.base import CallKey
from jsonrpc_tm.storage.mysql import pool, verbs
from jsonrpc_tm.storage.mysql.driver import driver
from jsonrpc_tm.storage.mysql.marks import own_mark
from jsonrpc_tm.storage.mysql.statements import Statement
from tests.storage.mysql.proxy import Proxy
from tests.waiting import until

pytestmark = pytest.mark.mariadb

# START TRANSACTION with the first statement of the body, the second one, the marker with COMMIT
COMMANDS = 3
SETTINGS = pool.session_settings
COMMIT = COMMANDS - 1
# START TRANSACTION with the look for the key, its row, the two statements, the result with COMMIT
KEYED_COMMANDS = 5


@pytest.fixture
async def proxy(mariadb):
    async with Proxy(mariadb.port) as proxy:
        yield proxy


@pytest.fixture
def soon_given_up(monkeypatch):
    """Transactions whose server seems to have gone are ended after 3 s of silence instead of 30."""

    def settings(*given, **named):
        return [
            text.replace("idle_transaction_timeout = 30", "idle_transaction_timeout = 3")
            for text in SETTINGS(*given, **named)
        ]

    monkeypatch.setattr(pool, "session_settings", settings)


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
    # the first run counts when the server got its COMMIT
    assert result == ("/run/1" if (point, mode) == (COMMIT, "after") else "/run/2")
    assert await storage.run("lfns", _lfns, read=True) == [result]


async def _keyed(tx, body, name="k"):
    key = CallKey(name, "d", "2024-10-15 12:00:00", "")
    if (kept := await tx.claim(key)) is not None:
        return kept
    result = await body(tx)
    await keys.keep(tx, key, result)
    return result


async def test_a_key_costs_two_commands(storage, proxy):
    proxy.arm(-1, "")
    await storage.run("add", _keyed, Body())
    assert proxy.commands == KEYED_COMMANDS
    proxy.arm(-1, "")
    await storage.run("again", _keyed, Body())
    assert proxy.commands == 2  # the look and COMMIT


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("point", range(KEYED_COMMANDS))
async def test_under_a_key_too(storage, proxy, point, mode):
    """The key's row tells what became of the transaction; there is no other mark."""
    body = Body()
    proxy.arm(point, mode)
    # the server may need a moment to notice that the connection is gone
    result = await when_free(lambda: storage.run("add", _keyed, body))
    committed = (point, mode) == (KEYED_COMMANDS - 1, "after")
    assert result == ("/run/1" if point < 2 or committed else "/run/2")
    assert await storage.run("again", _keyed, body) == result
    assert await storage.run("lfns", _lfns, read=True) == [result]
    # but where the key's row stood for a transaction that had not happened
    found = await storage.run("marks", lambda tx: tx.fetch_value("SELECT COUNT(*) FROM CommitMarkers"), read=True)
    assert found == (1 if (point, mode) == (KEYED_COMMANDS - 1, "before") else 0)


async def test_a_key_at_work_is_told_at_once(storage):
    """Who comes second does not wait for its row."""
    session = await storage.pool.connect()
    await session.query("START TRANSACTION")
    await session.query("INSERT INTO CallKeys (Name, CallDigest, CreatedAt, Attempt) VALUES ('k', 'd', NOW(), 'a')")
    before = time.monotonic()
    with pytest.raises(keys.KeyInUse):
        await storage.run("second", _keyed, Body())
    assert time.monotonic() - before < 2  # so long a lock is waited for here
    await session.query("ROLLBACK")
    session.close()
    assert await storage.run("third", _keyed, Body()) == "/run/1"


async def test_a_commit_under_a_key_that_arrives_late_is_waited_for(storage, proxy):
    body = Body()
    proxy.arm(KEYED_COMMANDS - 1, "late")
    assert await when_free(lambda: storage.run("add", _keyed, body)) in ("/run/1", "/run/2")
    await asyncio.sleep(0.7)
    assert await storage.run("again", _keyed, body) == f"/run/{body.runs}"
    assert len(await storage.run("lfns", _lfns, read=True)) == 1


async def test_a_commit_that_arrives_late_has_no_effect(soon_given_up, storage, proxy):
    """The marker that goes with it is taken by then."""
    body = Body()
    proxy.arm(COMMIT, "late")
    assert await storage.run("add", body) == "/run/2"
    await asyncio.sleep(0.7)
    assert await storage.run("lfns", _lfns, read=True) == ["/run/2"]


async def test_a_packet_still_at_work_when_its_outcome_is_asked_for_does_not_commit(storage, proxy):
    body = Body()

    async def slow(tx):
        result = await body(tx)
        await tx.last("DO SLEEP(0.5)")
        return result

    proxy.arm(COMMIT, "after")
    assert await storage.run("add", slow) == "/run/2"
    await asyncio.sleep(0.7)
    assert await storage.run("lfns", _lfns, read=True) == ["/run/2"]


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_a_commit_at_work_is_waited_for(storage, end):
    """Between the mark and the end of COMMIT, whoever asks waits for that end."""
    session = await storage.pool.connect()
    await session.query("START TRANSACTION")
    mark = own_mark()
    marker = mark.parameters["marker"]
    await session.query(
        f"INSERT INTO CommitMarkers (Marker, CreatedAt, Abandoned) VALUES ('{marker}', UTC_TIMESTAMP(), 0)"
    )
    asked = asyncio.create_task(storage.attempts.look_up(mark))
    await asyncio.sleep(0.2)
    assert not asked.done()
    await session.query(end)
    assert await asked is (end == "COMMIT")
    session.close()


async def test_an_error_that_the_server_reports_for_commit_itself_proves_nothing(storage, monkeypatch):
    """On a cluster a deadlock may be reported by a node that left while it committed: the others have the effect."""
    done_and_denied = Statement("COMMIT", "COMMIT\n;SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213")
    monkeypatch.setattr(verbs, "COMMIT", done_and_denied)
    assert await storage.run("add", Body()) == "/run/1"
    monkeypatch.undo()
    assert await storage.run("lfns", _lfns, read=True) == ["/run/1"]


async def test_a_server_that_does_not_come_back_makes_the_outcome_unknown(storage, proxy):
    storage.runner.timeout = 0.5
    proxy.arm(COMMIT, "after")
    proxy.refusing = True
    with pytest.raises(StorageUnavailable) as raised:
        await storage.run("add", Body())
    assert raised.value.data == {"retryable": True, "outcome": "unknown"}


async def test_a_transaction_held_open_by_the_network_is_run_again(soon_given_up, storage, proxy):
    proxy.arm(COMMIT, "held")
    assert await storage.run("add", Body()) == "/run/2"
    assert await storage.run("lfns", _lfns, read=True) == ["/run/2"]


async def test_what_it_has_locked_stays_locked_and_the_caller_knows_that_nothing_happened(
    open_mysql, mysql_url, mariadb, proxy
):
    url = mysql_url.replace(str(mariadb.port), str(proxy.listening))
    async with open_mysql(url, timeout=1) as storage:
        await storage.run("add", Body())
        storage.runner.timeout = 0.5

        async def rename(tx):
            await tx.execute("UPDATE DataFiles SET LFN = '/renamed'")

        proxy.arm(1, "held")
        with pytest.raises(StorageUnavailable) as raised:
            await storage.run("rename", rename)
        assert raised.value.data == {"retryable": True}
        assert await storage.run("lfns", _lfns, read=True) == ["/run/1"]


async def test_before_the_commit_a_lost_server_leaves_nothing_unknown(storage, proxy):
    storage.runner.timeout = 0.5
    proxy.arm(1, "before")
    proxy.refusing = True
    with pytest.raises(StorageUnavailable) as raised:
        await storage.run("add", Body())
    assert raised.value.data == {"retryable": True}
    proxy.refusing = False
    await until(lambda: storage.trouble is None)
    assert await storage.run("lfns", _lfns, read=True) == []


# each read is two commands, of which the second is not waited for
@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("point", range(4))
async def test_reading_transactions_answer_whatever_breaks(storage, proxy, point, mode):
    await storage.run("add", Body())
    await storage.run("lfns", _lfns, read=True)
    proxy.arm(point, mode)
    for _ in range(3):
        assert await storage.run("lfns", _lfns, read=True) == ["/run/1"]


async def test_an_abandoned_transaction_can_never_happen(storage, open_mysql):
    """A COMMIT found not to have happened cannot happen any more: its mark is taken."""
    mark = own_mark()
    assert await storage.attempts.look_up(mark) is False
    assert await storage.attempts.look_up(mark) is False

    async def late(tx):
        await tx.execute(mark.make, mark.parameters)

    with pytest.raises(driver.IntegrityError):
        await storage.run("late", late)
