"""Any sequence of calls leaves what a plain model of the books has."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jsonrpc_tm.core.errors import InvalidState, NotFound
from jsonrpc_tm.storage.sqlite import SqliteStorage

from .driver import Driver

LFNS = [f"/{letter}" for letter in "abcdef"]
STATUSES = ["Unused", "Assigned", "Processed", "ProbInFC", "MaxReset", "Removed", "Unused-inherited", "Own"]
SOME = st.lists(st.sampled_from(LFNS), max_size=6)
LIKELY = st.sampled_from([True, True, True, False])
# or the books stay empty
RARELY = st.sampled_from([False, False, False, True])


@dataclass
class File:
    status: str = "Unused"
    task: int | None = None
    se: str = "Unknown"
    errors: int = 0


@dataclass
class Task:
    se: str
    lfns: list[str]
    status: str = "Created"


@dataclass
class Transformation:
    files: dict[str, File] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    last: int = 0

    def make(self, se="Unknown", lfns=()):
        self.last += 1
        self.tasks[self.last] = Task(se, list(lfns))
        for lfn in lfns:
            self.files[lfn] = File("Assigned", self.last, se, self.files[lfn].errors)
        return self.last


class Books(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.storage = SqliteStorage(None)
        self.run(self.storage.__aenter__())
        self.tm = Driver(self.storage)
        self.books: dict[int, Transformation] = {}
        self.ids: dict[str, int] = {}
        self.last_id = self.last_file = 0

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def call(self, method, *params):
        return self.run(self.tm(method, *params))

    def refused(self, error, method, *params):
        self.run(self.tm.refused(error.type, method, *params))

    def pick(self, number):
        trans = sorted(self.books)[number % len(self.books)]
        return trans, self.books[trans]

    def teardown(self):
        self.run(self.storage.__aexit__(None, None, None))
        self.loop.close()

    @initialize()
    def begin(self):
        for _ in range(2):
            self.add()
        self.add_files(0, LFNS)

    @precondition(lambda self: len(self.books) < 2)
    @rule()
    def add(self):
        self.last_id += 1
        assert self.run(self.tm.add(f"t{self.last_id}", transType="Simulation")) == self.last_id
        self.books[self.last_id] = Transformation()

    @precondition(lambda self: 0 < len(self.books) < 4)
    @rule(number=st.integers(0, 9))
    def derive(self, number):
        parent_id, parent = self.pick(number)
        self.last_id += 1
        assert (
            self.run(self.tm.add(f"t{self.last_id}", transType="Simulation", inheritedFrom=parent_id)) == self.last_id
        )
        self.books[self.last_id] = child = Transformation()
        for lfn, old in sorted(parent.files.items(), key=lambda item: self.ids[item[0]]):
            if old.status == "Removed":
                continue
            kept = "-" in old.status
            task = old.task if kept or old.task is None or old.task > 999_999 else parent_id * 1_000_000 + old.task
            child.files[lfn] = File(old.status if kept else f"{old.status}-inherited", task, old.se)

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), lfns=SOME.filter(len))
    def add_files(self, number, lfns):
        trans, books = self.pick(number)
        answer = self.call("addFilesToTransformation", trans, lfns)
        assert answer["Successful"] == {lfn: "Present" if lfn in books.files else "Added" for lfn in lfns}
        for lfn in dict.fromkeys(lfns):
            if lfn not in self.ids:
                self.last_file += 1
                self.ids[lfn] = self.last_file
            books.files.setdefault(lfn, File())

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), lfns=SOME, se=st.sampled_from(["SE1", "SE2"]), possible=LIKELY)
    def add_task(self, number, lfns, se, possible):
        trans, books = self.pick(number)
        if possible:
            free = [lfn for lfn, facts in books.files.items() if facts.status in ("Unused", "ProbInFC")]
            lfns = [lfn for lfn in lfns if lfn in free] or free[:2]
        if all(lfn in books.files and books.files[lfn].status in ("Unused", "ProbInFC") for lfn in lfns):
            made = self.call("addTaskForTransformation", trans, lfns, se)
            assert made == books.make(se, dict.fromkeys(lfns))
        else:
            self.refused(InvalidState, "addTaskForTransformation", trans, lfns, se)

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), count=st.integers(0, 3))
    def extend(self, number, count):
        trans, books = self.pick(number)
        assert self.call("extendTransformation", trans, count) == [books.make() for _ in range(count)]

    @precondition(lambda self: self.books)
    @rule(
        number=st.integers(0, 9),
        changes=st.dictionaries(st.sampled_from(LFNS), st.tuples(st.sampled_from(STATUSES), st.booleans()), max_size=3),
        possible=LIKELY,
    )
    def set_files(self, number, changes, possible):
        trans, books = self.pick(number)
        if possible:
            changes = {lfn: change for lfn, change in changes.items() if lfn in books.files}
        given = {str(self.ids.get(lfn, 99)): list(change) for lfn, change in changes.items()}
        if all(lfn in books.files for lfn in changes):
            self.call("setFileStatusForTransformation", trans, given)
            for lfn, (status, flag) in changes.items():
                books.files[lfn].status = status
                books.files[lfn].errors += flag
        else:
            self.refused(NotFound, "setFileStatusForTransformation", trans, given)

    @precondition(lambda self: self.books)
    @rule(
        number=st.integers(0, 9),
        ids=st.lists(st.integers(1, 6), max_size=3),
        status=st.sampled_from(["Created", "Done"]),
        possible=LIKELY,
    )
    def set_tasks(self, number, ids, status, possible):
        trans, books = self.pick(number)
        if possible:
            ids = [sorted(books.tasks)[task % len(books.tasks)] for task in ids if books.tasks]
        if all(task in books.tasks for task in ids):
            self.call("setTaskStatus", trans, ids, status)
            for task in ids:
                books.tasks[task].status = status
        else:
            self.refused(NotFound, "setTaskStatus", trans, ids, status)

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), most=st.integers(0, 3))
    def submit(self, number, most):
        trans, books = self.pick(number)
        handed = [task for task, facts in sorted(books.tasks.items()) if facts.status == "Created"][:most]
        jobs = self.call("getTasksToSubmit", trans, most)["JobDictionary"]
        assert {int(task): job["InputData"] for task, job in jobs.items()} == {
            task: ";".join(books.tasks[task].lfns) for task in handed
        }
        for task in handed:
            books.tasks[task].status = "Reserved"

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), first=st.integers(0, 9), size=st.sampled_from([0, 1, 10**9]))
    def delete_tasks(self, number, first, size):
        trans, books = self.pick(number)
        low = sorted(books.tasks)[first % len(books.tasks)] if books.tasks else first
        self.call("deleteTasks", trans, low, low + size)
        gone = {task for task in books.tasks if low <= task <= low + size}
        for task in gone:
            del books.tasks[task]
        for lfn, facts in books.files.items():
            if facts.task in gone:
                books.files[lfn] = File(errors=facts.errors)

    def forget(self):
        used = {lfn for books in self.books.values() for lfn in books.files}
        self.ids = {lfn: number for lfn, number in self.ids.items() if lfn in used}

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), sure=RARELY)
    def clean(self, number, sure):
        trans, books = self.pick(number)
        if not sure or not books.tasks:
            return
        assert self.call("cleanTransformation", trans) == trans
        books.files.clear()
        books.tasks.clear()
        self.forget()

    @precondition(lambda self: self.books)
    @rule(number=st.integers(0, 9), sure=RARELY)
    def delete(self, number, sure):
        if not sure:
            return
        trans, _ = self.pick(number)
        self.call("deleteTransformation", trans)
        del self.books[trans]
        self.forget()

    @invariant()
    def the_books_are_the_models(self):
        found = self.run(self.tm.dump())
        assert {row["LFN"]: row["FileID"] for row in found["DataFiles"]} == self.ids
        names = {number: lfn for lfn, number in self.ids.items()}
        files = {trans: {} for trans in self.books}
        for row in found["TransformationFiles"]:
            facts = File(row["Status"], row["TaskID"], row["UsedSE"], row["ErrorCount"])
            files[row["TransformationID"]][names[row["FileID"]]] = facts
        assert files == {trans: books.files for trans, books in self.books.items()}
        inputs = {(row["TransformationID"], row["TaskID"]): row["InputVector"] for row in found["TaskInputs"]}
        tasks = {trans: {} for trans in self.books}
        for row in found["TransformationTasks"]:
            key = row["TransformationID"], row["TaskID"]
            lfns = inputs.pop(key).split(";") if key in inputs else []
            tasks[key[0]][key[1]] = Task(row["TargetSE"], lfns, row["ExternalStatus"])
        assert not inputs
        assert tasks == {trans: books.tasks for trans, books in self.books.items()}
        history = {
            (row["TransformationID"], row["TaskID"], names[row["FileID"]]) for row in found["TransformationFileTasks"]
        }
        assert history == {
            (trans, task, lfn)
            for trans, books in self.books.items()
            for task, facts in books.tasks.items()
            for lfn in facts.lfns
        }


Books.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestBooks = Books.TestCase
