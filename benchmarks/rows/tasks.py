"""Tasks: made one at a time and in bulk, handed out, reported; and many small writes."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

from ..common.measure import Bench, Row, Sample, measurement, row
from ..common.raw import NOW, Database
from .calls import CALLERS, one
from .files import insert, names

SIMULATION = ("", "", "Simulation", "Standard", "Manual", "")
FILES = 10
"""Of a task."""
TASKS = "TransformationTasks (TransformationID, TaskID, CreationTime, LastUpdateTime)"


def groups(lfns: Sequence[str]) -> list[Sequence[str]]:
    """Return the files of tasks."""
    return [lfns[start : start + FILES] for start in range(0, len(lfns), FILES)]


def make(database: Database, first: int, tasks: Sequence[Sequence[str]]) -> None:
    """Make tasks of files that are there, in one transaction, as any server has to."""
    with database.transaction():
        lfns = [lfn for own in tasks for lfn in own]
        ids = dict(database.among("SELECT LFN, FileID FROM DataFiles WHERE LFN IN {}", lfns))
        numbers = range(first, first + len(tasks))
        database.insert(TASKS, [(1, number, NOW, NOW) for number in numbers])
        given = [(ids[lfn], number) for number, own in zip(numbers, tasks, strict=True) for lfn in own]
        if database.sqlite:
            database.many(
                "UPDATE TransformationFiles SET Status = 'Assigned', TaskID = ?, UsedSE = 'S', LastUpdate = ?"
                " WHERE TransformationID = 1 AND FileID = ?",
                [(number, NOW, file) for file, number in given],
            )
        else:
            # the usual way to change many rows, each to a value of its own, in few statements
            database.insert(
                "TransformationFiles (TransformationID, FileID, Status, TaskID, UsedSE, LastUpdate)",
                [(1, file, "Assigned", number, "S", NOW) for file, number in given],
                "ON DUPLICATE KEY UPDATE Status = VALUES(Status),"
                " TaskID = VALUES(TaskID), UsedSE = VALUES(UsedSE), LastUpdate = VALUES(LastUpdate)",
            )
        database.insert("TransformationFileTasks", [(1, *pair) for pair in given])
        inputs = [(1, number, ";".join(own)) for number, own in zip(numbers, tasks, strict=True)]
        database.insert("TaskInputs", inputs)
        files = len(given)
        database.count(
            [(1, "file", "Assigned", files), (1, "file", "Unused", -files), (1, "task", "Created", len(tasks))]
        )
        database.tell(str(list(numbers)))


class Maker:
    """Tasks of new files, on a server and without."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.server, _ = one(bench)
        self.raw = bench.raw()
        self._files = self._tasks = 0

    def files(self, tasks: int) -> list[Sequence[str]]:
        """Add the files of so many tasks to the transformation, here and there."""
        self._files += 1
        lfns = names(self._files, FILES * tasks)
        self.server.call("addFilesToTransformation", "t", lfns)
        insert(self.raw, 1, lfns)
        return groups(lfns)

    def floor(self, tasks: Sequence[Sequence[str]], each: int) -> Sample:
        """Make tasks without a server, *each* in a transaction."""

        def work() -> None:
            for start in range(0, len(tasks), each):
                make(self.raw, self._tasks + 1, tasks[start : start + each])
                self._tasks += len(tasks[start : start + each])

        return self.bench.alone(work, len(tasks) // each)


@measurement("addTaskForTransformation, 10 files")
def add_task(bench: Bench) -> Iterator[Row]:
    """A task in a call; compared with a transaction for each, one after the other."""
    maker, tasks = Maker(bench), bench.size(300)
    server = maker.server
    for callers in CALLERS:
        made = {}

        def rpc(_: int, callers: int = callers, made: dict = made) -> Sample:
            made["last"] = maker.files(tasks)
            requests = [server.request("addTaskForTransformation", "t", own, "SE-A") for own in made["last"]]
            return bench.load(server, requests, callers)

        def wire(_: int, callers: int = callers) -> Sample:
            requests = [server.wire("addTaskForTransformation", "t", own, "SE-A") for own in maker.files(tasks)]
            return bench.load(server, requests, callers)

        ours, base, dirac = bench.turns(rpc, lambda _, made=made: maker.floor(made["last"], 1), wire)
        what = "raw, a transaction for each"
        yield row(bench.name, ours, base, wire="TLS", callers=callers, floor=what)
        yield row(bench.name, dirac, base, wire="DIRAC's wire", callers=callers, floor=what)


@measurement("addTasks of 1,000, 10 files each")
def add_tasks(bench: Bench) -> Iterator[Row]:
    """Many tasks in a call; compared with the same rows in one transaction."""
    maker, tasks = Maker(bench), bench.size(1000)
    server, made = maker.server, {}

    def requests() -> list[bytes]:
        made["last"] = maker.files(tasks)
        return [server.request("addTasks", "t", [{"lfns": own, "se": "SE-A"} for own in made["last"]])]

    ours, base = bench.turns(lambda _: bench.load(server, requests()), lambda _: maker.floor(made["last"], tasks))
    beside = bench.beside(server, requests(), server.request("getTransformation", "t"))
    yield row(bench.name, ours, base, wire="TLS", floor="raw, one transaction", **beside)


def extend(database: Database, first: int, count: int) -> None:
    """Make tasks without files."""
    with database.transaction():
        database.insert(TASKS, [(1, first + number, NOW, NOW) for number in range(count)])
        database.count([(1, "task", "Created", count)])
        database.tell(str(first))


def take(database: Database, count: int, lease: int = 0) -> list[int]:
    """Hand out the next tasks, with a lease or without; return their numbers."""
    with database.transaction():
        found = database.run(
            "SELECT TaskID, TargetSE FROM TransformationTasks WHERE TransformationID = 1"
            " AND ExternalStatus = 'Created' ORDER BY TaskID LIMIT ?",
            (count,),
        )
        ids = [task for task, _ in found]
        database.among("SELECT TaskID, InputVector FROM TaskInputs WHERE TransformationID = 1 AND TaskID IN {}", ids)
        if lease:
            database.insert("Leases (Lease, TransformationID, LeaseUntil)", [(lease, 1, NOW)])
        database.among(
            "UPDATE TransformationTasks SET ExternalStatus = 'Reserved', Lease = ?, LastUpdateTime = ?"
            " WHERE TransformationID = 1 AND TaskID IN {}",
            ids,
            (lease or None, NOW),
        )
        database.count([(1, "task", "Reserved", count), (1, "task", "Created", -count)])
        database.tell(str(ids))
    return ids


def report(database: Database, ids: Sequence[int]) -> None:
    """Report tasks done, each with a number of its own outside."""
    with database.transaction():
        if database.sqlite:
            database.many(
                "UPDATE TransformationTasks SET ExternalStatus = 'Done', ExternalID = ?, LastUpdateTime = ?"
                " WHERE TransformationID = 1 AND TaskID = ?",
                [(task, NOW, task) for task in ids],
            )
        else:
            database.insert(
                "TransformationTasks"
                " (TransformationID, TaskID, ExternalStatus, ExternalID, CreationTime, LastUpdateTime)",
                [(1, task, "Done", task, NOW, NOW) for task in ids],
                "ON DUPLICATE KEY UPDATE ExternalStatus = VALUES(ExternalStatus), ExternalID = VALUES(ExternalID),"
                " LastUpdateTime = VALUES(LastUpdateTime)",
            )
        database.count([(1, "task", "Done", len(ids)), (1, "task", "Reserved", -len(ids))])
        database.tell(str(ids))


@measurement("extendTransformation and getTasksToSubmit 1,000")
def hand_out(bench: Bench) -> Iterator[Row]:
    """Tasks without files are made, and handed out."""
    server, count, raw = bench.server(), bench.size(1000), bench.raw()
    trans = server.call("addTransformation", "handed out", *SIMULATION)
    first = itertools.count(1, count)
    ways = {"TLS": server.request, "DIRAC's wire": server.wire}
    calls = ("extendTransformation", "getTasksToSubmit")
    for wire, ask in ways.items():
        made, extended, taken, handed = bench.turns(
            partial(bench.send, server, [ask(calls[0], trans, count)]),
            lambda _: bench.alone(lambda: extend(raw, next(first), count)),
            partial(bench.send, server, [ask(calls[1], trans, count)]),
            lambda _: bench.alone(lambda: take(raw, count)),
        )
        yield row("extendTransformation 1,000", made, extended, wire=wire, floor="raw, one transaction")
        yield row("getTasksToSubmit 1,000", taken, handed, wire=wire, floor="raw, one transaction")


@measurement("claimTasks and updateTasks, 100 at a time")
def claims(bench: Bench) -> Iterator[Row]:
    """Claimers beside each other take tasks with a lease, and report them; compared with one after the other."""
    server, raw, each, times = bench.server(), bench.raw(), bench.size(100), bench.size(20)
    trans = server.call("addTransformation", "claimed", *SIMULATION)
    serial = itertools.count(1)
    claimed: list[list[int]] = []

    def prepare() -> None:
        # what is claimed is there twice: the load generator does not know what it got
        server.call("extendTransformation", trans, 2 * each * times)
        extend(raw, each * times * next(serial), each * times)
        claimed.clear()

    def claim(callers: int, _turn: int) -> Sample:
        prepare()
        return bench.load(server, times * [server.request("claimTasks", trans, each)], callers)

    def claim_raw(_turn: int) -> Sample:
        return bench.alone(lambda: claimed.extend(take(raw, each, next(serial)) for _ in range(times)), times)

    def update(callers: int, _turn: int) -> Sample:
        requests = []
        for _ in range(times):
            got = server.call("claimTasks", trans, each)
            done = {"ExternalStatus": "Done", "Lease": got["Lease"]}
            updates = [{"TaskID": task["TaskID"], "ExternalID": task["TaskID"], **done} for task in got["Tasks"]]
            requests.append(server.request("updateTasks", trans, updates))
        return bench.load(server, requests, callers)

    def update_raw(_turn: int) -> Sample:
        return bench.alone(lambda: [report(raw, ids) for ids in claimed], times)

    for callers in CALLERS:
        taken, floor, told, least = bench.turns(
            partial(claim, callers), claim_raw, partial(update, callers), update_raw
        )
        what = "raw, a transaction for each"
        yield row("claimTasks, 100 at a time", taken, floor, wire="TLS", callers=callers, floor=what)
        yield row("updateTasks, 100 at a time", told, least, wire="TLS", callers=callers, floor=what)


@measurement("setTransformationParameter, small writes")
def small_writes(bench: Bench) -> Iterator[Row]:
    """Each call is a transaction; compared with a commit a call, one after the other."""
    server, calls, raw = one(bench)[0], bench.size(400), bench.raw()
    raw.run("INSERT INTO Transformations (TransformationName, Author, AuthorGroup) VALUES ('t', 'a', 'g')")

    def write() -> None:
        for number in range(calls):
            with raw.transaction():
                raw.run(
                    "UPDATE Transformations SET Description = ?, LastUpdate = ? WHERE TransformationID = 1",
                    (f"d{number}", NOW),
                )
                raw.run(
                    "INSERT INTO TransformationLog (TransformationID, Message, MessageDate) VALUES (1, 'm', ?)", (NOW,)
                )
                raw.tell("")

    requests = [server.request("setTransformationParameter", "t", "Description", f"d{n}") for n in range(calls)]
    keys = itertools.count()

    def keyed() -> list[bytes]:
        return [request.replace(b"\r\n", b"\r\nIdempotency-Key: %d\r\n" % next(keys), 1) for request in requests]

    for callers in CALLERS:
        ours, base, once = bench.turns(
            lambda _, c=callers: bench.load(server, requests, c),
            lambda _: bench.alone(write, calls),
            lambda _, c=callers: bench.load(server, keyed(), c),
        )
        yield row(bench.name, ours, base, wire="TLS", callers=callers, floor="raw, a commit a call")
        yield row(f"{bench.name} with keys", once, ours, wire="TLS", callers=callers, floor="without Idempotency-Key")
