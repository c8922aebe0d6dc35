"""Several claimers, whatever they do and however late: the books are those of a plain model."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from jsonrpc_tm.core.clock import answered
from jsonrpc_tm.storage.mysql import MySQLProvider
from jsonrpc_tm.storage.sqlite import SqliteStorage

from .driver import Driver

STATUSES = st.sampled_from(["Created", "Reserved", "Submitted", "Done"])
NUMBERS = st.integers(0, 30)
SECONDS = st.sampled_from([1, 2, 5, 10])


@dataclass
class Task:
    status: str = "Created"
    lease: int | None = None

    def become(self, status):
        self.status = status
        if status == "Created":
            self.lease = None


@dataclass
class Lease:
    until: int
    deadline: int | None
    tasks: list[int]


class Claims(RuleBasedStateMachine):
    """:param tm: a driver, whose database may be used already.

    :param loop: where it lives.
    :param serial: makes names.
    """

    def __init__(self, tm, loop, serial):
        super().__init__()
        self.tm, self.loop = tm, loop
        self.begin, self.now = tm.harness.clock.now, 0
        self.trans = self.run(tm.add(f"claims {next(serial)}", transType="Simulation"))
        self.tasks: dict[int, Task] = {}
        self.leases: dict[int, Lease] = {}
        self.last = self.highest = 0
        self.stopped = False

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def call(self, method, *params):
        return self.run(self.tm(method, self.trans, *params))

    def at(self, moment):
        return answered(self.begin.fromtimestamp(self.begin.timestamp() + moment, self.begin.tzinfo))

    def reserved(self, lease):
        return [task for task, facts in self.tasks.items() if (facts.status, facts.lease) == ("Reserved", lease)]

    def some(self, picks):
        known = sorted(self.tasks)
        return list(dict.fromkeys(known[pick % len(known)] for pick in picks)) if known else []

    @rule(number=st.integers(1, 4))
    def add(self, number):
        ids = list(range(self.last + 1, self.last + number + 1))
        assert self.call("addTasks", number * [{}]) == ids
        self.last += number
        self.tasks |= {task: Task() for task in ids}

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.tm.later(seconds)
        self.now += seconds

    @rule(most=st.integers(0, 5), seconds=SECONDS, deadline=st.none() | SECONDS)
    def claim(self, most, seconds, deadline):
        free = [
            task
            for task, facts in sorted(self.tasks.items())
            if facts.status == "Created"
            or (facts.status == "Reserved" and facts.lease is not None and self.leases[facts.lease].until <= self.now)
        ]
        taken = [] if self.stopped else free[:most]
        got = self.call("claimTasks", most, "", seconds, deadline)
        assert [(task["TaskID"], task["ExternalStatus"]) for task in got["Tasks"]] == [
            (task, self.tasks[task].status) for task in taken
        ]
        if not taken:
            assert got["Lease"] is None
            return
        assert got["Lease"] > self.highest
        self.highest = got["Lease"]
        until = self.now + min(seconds, seconds if deadline is None else deadline)
        assert got["LeaseUntil"] == self.at(until)
        self.leases[got["Lease"]] = Lease(until, None if deadline is None else self.now + deadline, taken)
        for task in taken:
            self.tasks[task] = Task("Reserved", got["Lease"])

    def lease(self, number):
        known = sorted(self.leases)
        return known[number % len(known)]

    @precondition(lambda self: self.leases)
    @rule(number=NUMBERS, first=st.integers(0, 3), status=STATUSES)
    def report(self, number, first, status):
        lease = self.lease(number)
        tasks = [task for task in self.leases[lease].tasks[first:] if task in self.tasks]
        updates = [{"TaskID": task, "ExternalStatus": status, "Lease": lease} for task in tasks]
        if lost := [task for task in tasks if self.tasks[task].lease != lease]:
            found = self.run(self.tm.refused("Conflict", "updateTasks", self.trans, updates))
            assert (found["reason"], found["tasks"]) == ("lease lost", lost)
            return
        assert self.call("updateTasks", updates) == len(tasks)
        for task in tasks:
            self.tasks[task].become(status)

    @precondition(lambda self: self.leases)
    @rule(number=NUMBERS, seconds=SECONDS)
    def renew(self, number, seconds):
        lease = self.lease(number)
        facts, left = self.leases[lease], len(self.reserved(lease))
        if left:
            facts.until = self.now + seconds
            if facts.deadline is not None:
                facts.until = min(facts.until, facts.deadline)
        over = facts.deadline is not None and facts.deadline <= self.now
        stop = not left or over or self.stopped
        assert self.call("renewLease", lease, seconds) == {
            "LeaseUntil": self.at(facts.until),
            "Tasks": left,
            "Stop": stop,
        }

    @precondition(lambda self: self.leases)
    @rule(number=NUMBERS)
    def release(self, number):
        lease = self.lease(number)
        given = self.reserved(lease)
        assert self.call("releaseLease", lease) == len(given)
        for task in given:
            self.tasks[task].become("Created")

    @precondition(lambda self: self.tasks)
    @rule(picks=st.lists(NUMBERS, min_size=1, max_size=3), status=STATUSES)
    def set_status(self, picks, status):
        tasks = self.some(picks)
        self.call("setTaskStatus", tasks, status)
        for task in tasks:
            self.tasks[task].become(status)

    @rule(most=st.integers(0, 2))
    def submit(self, most):
        created = [task for task, facts in sorted(self.tasks.items()) if facts.status == "Created"][:most]
        assert list(self.call("getTasksToSubmit", most)["JobDictionary"]) == [str(task) for task in created]
        for task in created:
            self.tasks[task] = Task("Reserved")

    @precondition(lambda self: self.tasks)
    @rule(pick=NUMBERS)
    def delete(self, pick):
        (task,) = self.some([pick])
        self.call("deleteTasks", task, task)
        del self.tasks[task]

    @rule()
    def stop_or_go(self):
        self.stopped = not self.stopped
        self.call("setTransformationParameter", "Status", "Stopped" if self.stopped else "Active")

    @invariant()
    def the_books_are_the_models(self):
        sql = "SELECT TaskID, ExternalStatus, Lease FROM TransformationTasks WHERE TransformationID = :trans"
        rows = self.run(self.tm.fetch(sql, trans=self.trans))
        assert {row["TaskID"]: Task(row["ExternalStatus"], row["Lease"]) for row in rows} == self.tasks


@pytest.mark.parametrize(
    ("engine", "examples"), [("sqlite", 20), pytest.param("mariadb", 5, marks=pytest.mark.mariadb)]
)
def test_claims(engine, examples, request):
    if engine == "sqlite":
        storage = SqliteStorage(None)
    else:
        url = request.getfixturevalue("one_mysql_url")
        storage = MySQLProvider().open(url, migrate=True, migrations=(), options={})
    loop = asyncio.new_event_loop()
    loop.run_until_complete(storage.__aenter__())
    try:
        tm, serial = Driver(storage), iter(range(10**6))
        run_state_machine_as_test(
            lambda: Claims(tm, loop, serial),
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        loop.run_until_complete(storage.__aexit__(None, None, None))
        loop.close()
