"""Tasks: made one at a time and in bulk, handed out, reported; and many small writes."""

from collections.abc import Iterator, Sequence

from ..common.measure import Bench, Row, Sample, measurement, row
from ..common.raw import NOW, Database
from .calls import CALLERS, NEW, one
from .files import insert, names

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


@measurement("extendTransformation 1,000; getTasksToSubmit 1,000")
def extend(bench: Bench) -> Iterator[Row]:
    """Tasks without files are made, and handed out."""
    server, count, raw = one(bench)[0], bench.size(1000), bench.raw()
    server.call("addTransformation", "other", *NEW)
    trans = server.call("addTransformation", "mc", "", "", "Simulation", "Standard", "Manual", "")

    def add(serial: int) -> None:
        with raw.transaction():
            raw.insert(TASKS, [(1, serial * count + number, NOW, NOW) for number in range(count)])
            raw.count([(1, "task", "Created", count)])
            raw.tell(str(serial))

    def take() -> None:
        with raw.transaction():
            found = raw.run(
                "SELECT TaskID, TargetSE FROM TransformationTasks WHERE TransformationID = 1"
                " AND ExternalStatus = 'Created' ORDER BY TaskID LIMIT ?",
                (count,),
            )
            ids = [task for task, _ in found]
            raw.among("SELECT TaskID, InputVector FROM TaskInputs WHERE TransformationID = 1 AND TaskID IN {}", ids)
            raw.among(
                "UPDATE TransformationTasks SET ExternalStatus = 'Reserved', LastUpdateTime = ?"
                " WHERE TransformationID = 1 AND TaskID IN {}",
                ids,
                (NOW,),
            )
            raw.count([(1, "task", "Reserved", count), (1, "task", "Created", -count)])
            raw.tell(str(ids))

    ways = {"TLS": server.request, "DIRAC's wire": server.wire}
    found: dict[str, list[list[Sample]]] = {}
    for wire, request in ways.items():
        found[wire] = bench.turns(
            lambda _, ask=request: bench.load(server, [ask("extendTransformation", trans, count)]),
            lambda n, wire=wire: bench.alone(lambda: add(n + 1000 * (wire == "TLS"))),
            lambda _, ask=request: bench.load(server, [ask("getTasksToSubmit", trans, count)]),
            lambda _: bench.alone(take),
        )
    for place, name in ((0, "extendTransformation 1,000"), (2, "getTasksToSubmit 1,000")):
        for wire, samples in found.items():
            yield row(name, samples[place], samples[place + 1], wire=wire, floor="raw, one transaction")


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
    for callers in CALLERS:
        ours, base = bench.turns(
            lambda _, c=callers: bench.load(server, requests, c), lambda _: bench.alone(write, calls)
        )
        yield row(bench.name, ours, base, wire="TLS", callers=callers, floor="raw, a commit a call")
