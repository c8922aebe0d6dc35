"""Server, agents and database are killed in the middle of everything: each file is processed once.

All calls have keys and are retried. In the default run it is a short play on SQLite; ``make chaos`` kills 100 times, on
SQLite and on MariaDB.
"""

import asyncio
import collections
import json
from pathlib import Path
from typing import Any

import pytest

from jsonrpc_tm.domain.counters import TOTALS
from jsonrpc_tm.tools.testing import mariadb

from .play import Play

KILLS = 100
LASTING = ("--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=1")
"""What has been committed survives the end of MariaDB's process."""


async def perform(play: Play, kills: list[str], pause: float) -> str:
    """Kill what *kills* says, one after the other, and check the books; return what happened, in words."""
    async with play:
        for victim in kills:
            await asyncio.sleep(play.chance.uniform(pause / 2, pause))
            await play.strike(victim)
        await asyncio.sleep(pause)
        await play.finish()
    return check(play)


def check(play: Play) -> str:
    """Compare what the agents were told with what the database holds."""
    files = play.rows(
        "SELECT LFN, t.Status, TaskID FROM TransformationFiles t JOIN DataFiles USING (FileID)"
        " WHERE TransformationID = ?"
    )
    rows = play.rows(
        "SELECT TaskID, ExternalStatus, COALESCE(Lease, 0) FROM TransformationTasks WHERE TransformationID = ?"
    )
    tasks = {int(task): (status, int(lease)) for task, status, lease in rows}
    history = play.rows("SELECT FileID, TaskID FROM TransformationFileTasks WHERE TransformationID = ?")

    announced = [
        name
        for _, result in play.answered("announce", "addFile")
        for name, wanted in result["Successful"].items()
        if wanted
    ]
    assert sorted(name for name, *_ in files) == sorted(announced), "a file is lost, or there is one too many"
    assert {status for _, status, _ in files} == {"Processed"}
    assert len(history) == len({file for file, _ in history}) == len(files), "a file is in two tasks"
    assert sorted(tasks) == list(range(1, len(tasks) + 1)), "task numbers have gaps or repeat"
    assert {status for status, _ in tasks.values()} == {"Done"}

    made = [task for _, ids in play.answered("make", "addTasks") for task in ids]
    assert sorted(made) == sorted(tasks), "a task was made twice, or nobody was told of it"
    handed = [task for _, result in play.answered("submit", "getTasksToSubmit") for task in result["JobDictionary"]]
    reports = [report for params, _ in play.answered("work", "updateTasks") for report in params[1]]
    done = [*map(int, handed), *(report["TaskID"] for report in reports)]
    assert sorted(done) == sorted(tasks), "a task was done twice, or by nobody"
    assert all(tasks[report["TaskID"]][1] == report["Lease"] for report in reports), "a stale lease changed a task"
    refused = play.refused()
    assert refused.keys() <= {("addTasks", "InvalidState", None), ("updateTasks", "Conflict", "lease lost")}

    counted = play.rows(
        f"SELECT Kind, Status, SUM(N) FROM {TOTALS} AS totals WHERE TransformationID = ? GROUP BY Kind, Status"
        " HAVING SUM(N) <> 0 ORDER BY Kind, Status"
    )
    assert counted == [("file", "Processed", str(len(files))), ("task", "Done", str(len(tasks)))], "counters drift"
    told: collections.Counter[str] = collections.Counter()
    for kind, data in play.rows("SELECT Type, Data FROM Events"):
        said = json.loads(data)
        told[kind] += said.get("count", 0)
        told["wanted"] += sum(said.get("transformations", {}).values())
        told.update(said["status"] if isinstance(said.get("status"), dict) else {})
    expected = {"files": ("wanted", "Assigned", "Processed"), "tasks": ("tasks.created", "Done")}
    found = {what: {told[word] for word in words} for what, words in expected.items()}
    assert found == {"files": {len(files)}, "tasks": {len(tasks)}}, "an event is lost or doubled"
    events = [int(revision) for (revision,) in play.rows("SELECT Revision FROM Events ORDER BY Revision")]
    assert events == list(range(1, len(events) + 1)), "revisions have gaps"
    assert all(play.read(name) == events for name in play.names("read")), "a reader missed an event, or saw it twice"
    killed = ", ".join(f"{number} {victim}" for victim, number in play.killed.items())
    said = ", ".join(f"{number} {method}" for (method, *_), number in refused.items())
    return f"killed {killed}; {len(files)} files in {len(tasks)} tasks, {len(events)} events; refused {said}"


async def test_what_is_killed_does_everything_once(tmp_path: Path) -> None:
    cast = {
        "announcer": "announce",
        "maker": "make",
        "other": "make",
        "worker": "work",
        "other worker": "work",
        "reader": "read",
    }
    play = Play(tmp_path, 1, [cast], workers=1)
    await perform(play, ["agent", "server"], 0.6)
    assert len(play.rows("SELECT * FROM CallKeys")) > 10


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
async def test_a_hundred_kills(tmp_path: Path, engine: str, capsys: Any) -> None:
    casts = [
        {"announcer": "announce", "maker": "make"},
        {"second": "announce", "other": "make"},
        {"worker1": "work", "worker2": "work"},
        {"worker3": "work", "dirac": "submit", "reader": "read"},
        {"other reader": "read"},
    ]
    if engine == "sqlite":
        said = await perform(Play(tmp_path, 2, casts, 2), chosen(False), 0.6)
    else:
        with mariadb.running(tmp_path / "db", LASTING) as database:
            said = await perform(Play(tmp_path, 3, casts, 2, database), chosen(True), 0.6)
    with capsys.disabled():
        print(f"\n{engine}: {said}")


def chosen(database: bool) -> list[str]:
    """Return what is killed."""
    among = ["agent", "agent", "worker", "server"]
    return [("database" if database and number % 5 == 4 else among[number % 4]) for number in range(KILLS)]
