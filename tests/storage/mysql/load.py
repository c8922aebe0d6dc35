"""Many callers at once on one or several servers, and the books they keep of what they were told."""

import asyncio
import collections
import itertools
import random
import time
from dataclasses import dataclass, field
from typing import Any

from jsonrpc_tm.client import Client, ConnectionFailed
from jsonrpc_tm.core.errors import InvalidState, StorageUnavailable

SIMULATION, PROCESSING = "simulation", "processing"
GROUP = 3
"""Files a task."""


@dataclass
class Books:
    """What callers were told; only this can be held against the database.

    :param made: files by (transformation, task).
    :param taken: who was handed each task.
    :param statuses: the last status each task was given, by its only owner.
    :param files: names that were acknowledged as added.
    :param errors: (seconds since the start, type, message) of refusals that ask for another try.
    :param unsure: calls whose effect is not known, by method.
    :param stale: reads that lacked what had been acknowledged before.
    :param answers: seconds since the start of every answer.
    """

    started: float = field(default_factory=time.monotonic)
    made: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    doubled: list[Any] = field(default_factory=list)
    taken: collections.Counter = field(default_factory=collections.Counter)
    statuses: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    errors: list[tuple[float, str, str]] = field(default_factory=list)
    unsure: collections.Counter = field(default_factory=collections.Counter)
    stale: list[Any] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    longest_call: float = 0.0

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def gap(self) -> float:
        """Return the longest time without any answer, in seconds."""
        times = [0.0, *sorted(self.answers)]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    def summary(self) -> str:
        """Return the numbers in one line."""
        kinds = collections.Counter(kind for _, kind, _ in self.errors)
        return (
            f"{len(self.answers)} answers in {self.now:.1f} s ({len(self.answers) / self.now:.0f}/s), "
            f"{len(self.made)} tasks made, {sum(self.taken.values())} handed out, {len(self.files)} files added; "
            f"retryable errors {dict(kinds)}, outcome unknown {dict(self.unsure)}, stale reads {len(self.stale)}; "
            f"longest time without an answer {self.gap():.1f} s, slowest call {self.longest_call:.1f} s"
        )


@dataclass
class Caller:
    """One of the callers.

    :param clients: the servers; each call goes to the first, read-back to another; after a failure to the next.
    """

    name: str
    clients: list[Client]
    books: Books
    chance: random.Random
    stop: asyncio.Event

    async def call(self, *call: Any, other: bool = False) -> Any:
        """Return the answer; errors that ask for it are retried on the next server.

        :param other: begin with another server than usual.
        :raises TimeoutError: the effect of the call is not known: nothing is to be concluded from it.
        """
        while True:
            begin = self.books.now
            try:
                answer = await self.clients[-1 if other else 0].call(*call)
            except (StorageUnavailable, ConnectionFailed) as error:
                self.books.errors.append((self.books.now, type(error).__name__, str(error)))
                unknown = error.data.get("outcome") if isinstance(error, StorageUnavailable) else error.sent
                self.clients.append(self.clients.pop(0))
                await asyncio.sleep(0.1)
                if unknown and not call[0].startswith("getTransformation"):
                    self.books.unsure[call[0]] += 1
                    raise TimeoutError from error
                continue
            self.books.answers.append(self.books.now)
            self.books.longest_call = max(self.books.longest_call, self.books.now - begin)
            return answer

    async def work(self, turns: int | None = None) -> None:
        """Do one thing after the other until told to stop, or *turns* things."""
        turn = 0
        while not self.stop.is_set() and (turns is None or turn < turns):
            turn += 1
            deed = self.chance.choice([self.extend, self.assign, self.assign, self.take, self.add])
            try:
                await deed(turn)
            except TimeoutError:
                continue

    def _note(self, trans: str, task: int, lfns: list[str]) -> None:
        if (trans, task) in self.books.made:
            self.books.doubled.append((trans, task))
        self.books.made[trans, task] = lfns

    async def extend(self, turn: int) -> None:
        """Make empty tasks."""
        for task in await self.call("extendTransformation", SIMULATION, 2):
            self._note(SIMULATION, task, [])

    async def assign(self, turn: int) -> None:
        """Add files, and let two calls race for them: one wins."""
        names = [f"/load/{self.name}/{turn}/{number}" for number in range(GROUP)]
        await self.call("addFilesToTransformation", PROCESSING, names)
        self.books.files.update(names)
        calls = [self.call("addTaskForTransformation", PROCESSING, names, other=other) for other in (False, True)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        won = [result for result in results if isinstance(result, int)]
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, InvalidState | TimeoutError):
                raise result
        for task in won:
            self._note(PROCESSING, task, names)
        if len(won) > 1 or (not won and not any(isinstance(result, TimeoutError) for result in results)):
            self.books.doubled.append((names, won))
        for task in won:
            await self._read_back(PROCESSING, task, "Created", "Reserved", "Submitted", "Done")

    async def take(self, turn: int) -> None:
        """Take tasks and report on them; the last report counts."""
        trans = self.chance.choice([SIMULATION, PROCESSING])
        answer = await self.call("getTasksToSubmit", trans, 3)
        tasks = [int(task) for task in answer["JobDictionary"]]
        for task in tasks:
            self.books.taken[trans, task] += 1
        for task in tasks:
            await self.call("setTaskStatusAndWmsID", trans, task, "Submitted", f"{self.name}.{turn}"[-16:])
            self.books.statuses[trans, task] = ("Submitted", f"{self.name}.{turn}"[-16:])
            await self._read_back(trans, task, "Submitted")

    async def add(self, turn: int) -> None:
        """Add files that are left alone, the same ones as other callers do."""
        names = [f"/load/shared/{turn}/{number}" for number in range(5)]
        await self.call("addFilesToTransformation", PROCESSING, names)
        self.books.files.update(names)

    async def _read_back(self, trans: str, task: int, *statuses: str) -> None:
        rows = await self.call(
            "getTransformationTasks", {"TransformationID": self.ids[trans], "TaskID": task}, other=True
        )
        if not rows or rows[0]["ExternalStatus"] not in statuses:
            self.books.stale.append((self.books.now, trans, task, rows))

    ids: dict[str, int] = field(default_factory=dict)


async def prepare(client: Client) -> dict[str, int]:
    """Make the two transformations; return their ids by name."""
    rest = ("d", "l")
    return {
        name: await client.call("addTransformation", name, *rest, kind, "Standard", "Automatic", "")
        for name, kind in ((SIMULATION, "MCSimulation"), (PROCESSING, "DataReprocessing"))
    }


def check(books: Books, sql: Any, ids: dict[str, int]) -> None:
    """Compare what callers were told with what the database holds.

    :param sql: runs a query and returns its rows as tab separated text.
    """

    def rows(query: str) -> list[list[str]]:
        return [line.split("\t") for line in sql(query).splitlines()]

    names = {str(number): name for name, number in ids.items()}
    tasks = {
        (names[trans], int(task)): (status, external)
        for trans, task, status, external in rows(
            "SELECT TransformationID, TaskID, ExternalStatus, ExternalID FROM TransformationTasks"
        )
    }
    files = {
        lfn: (status, task)
        for lfn, status, task in rows(
            "SELECT LFN, f.Status, COALESCE(TaskID, '') FROM TransformationFiles f JOIN DataFiles d USING (FileID)"
        )
    }
    history = rows("SELECT LFN, TaskID FROM TransformationFileTasks JOIN DataFiles USING (FileID)")
    counters = {
        names[trans]: int(last) for trans, last in rows("SELECT TransformationID, LastTaskID FROM TaskCounters")
    }

    assert not books.doubled, "a task number was given twice, or files were assigned twice"
    assert not books.stale, "an acknowledged change was not seen"
    for name in ids:
        numbers = sorted(task for trans, task in tasks if trans == name)
        assert numbers == list(range(1, len(numbers) + 1)), "task numbers have gaps or repeat"
        assert counters[name] == len(numbers)
    assert set(books.made) <= set(tasks), "an acknowledged task is lost"
    unknown = len(tasks) - len(books.made)
    assert unknown <= 2 * books.unsure["extendTransformation"] + books.unsure["addTaskForTransformation"]
    assert books.files <= set(files), "an acknowledged file is lost"
    assert len(history) == len({lfn for lfn, _ in history}), "a file is in two tasks"
    assert dict(history) == {lfn: task for lfn, (_, task) in files.items() if task}
    for (trans, task), lfns in books.made.items():
        assert trans == SIMULATION or {files[lfn] for lfn in lfns} == {("Assigned", str(task))}
    sizes = collections.Counter(task for _, task in history)
    assert set(sizes.values()) <= {GROUP}, "a task was made half"
    assert max(books.taken.values(), default=0) <= 1, "a task was handed to two callers"
    for key, told in books.statuses.items():
        assert tasks[key] == told, "an acknowledged status is lost"
    handed = {key for key, (status, _) in tasks.items() if status != "Created"}
    assert set(books.taken) <= handed
    assert len(handed) - len(books.taken) <= 3 * books.unsure["getTasksToSubmit"]
