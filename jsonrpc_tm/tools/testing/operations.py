"""Random sequences of calls, for comparing two storages: the same calls must give the same answers and end alike.

Needs hypothesis. ``operations()`` is the strategy, ``differences()`` runs a sequence on two services.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from ...core.identity import MANAGEMENT, SHARING, USER, Identity
from ...storage.base import Row, Transaction
from ..harness import BOOKKEEPING, Harness
from ..replay.compare import show

# what differs from run to run, or with the number of connections
_PRIVATE_TABLES = ("StatusDeltas", "EventHead")
_PRIVATE_COLUMNS = ("RequestID", "Revision", "Serial")
START = datetime(2024, 10, 15, 12, tzinfo=UTC)
CALLERS = {
    "manager": Identity("manager", "managers", (MANAGEMENT,)),
    "sharer": Identity("sharer", "group", (SHARING,)),
    "user": Identity("user", "group", (USER,)),
}
_FILES = {
    **{f"/a/f{number}": {"run": number, "size": number / 2} for number in range(5)},
    **{f"/b/F{number}": {"run": str(number)} for number in range(3)},
    "/b/é ": {"run": "none"},
}
CATALOG: dict[str, Any] = {
    "fields": {"run": "int", "site": "string", "size": "float", "day": "date"},
    "directories": {"/": {}, "/a": {"site": "north"}, "/b": {"site": "süd", "day": "2024-05-01"}},
    "files": _FILES,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One call.

    :param seconds: how far the clock goes on before it.
    """

    caller: str
    method: str
    params: tuple[Any, ...]
    seconds: int = 1


def _one(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


_NAMES = _one("t1", "t2", "T1", "t1 ", "ü")
# mostly what is there: a call that is refused tells little
_TRANS = _one("t1", "t1", "t1", "t2", "t2", "T1", "t1 ", "ü", 1, 1, 2, "2", 3, "nosuch")
_LFN = _one(*_FILES, "/a/F1", "/c/\\'%_\"", "/c/\U0001f600")
_LFNS = st.lists(_LFN, min_size=1, max_size=6)
_FILE_STATUS = _one(
    "Unused", "Unused", "Assigned", "Processed", "Problematic", "ProbInFC", "MissingInFC", "Moved", "own"
)
_TASK_STATUS = _one("Created", "Created", "Reserved", "Submitted", "Done", "Failed", "done")
_STATUS = _one("New", "Active", "Active", "Stopped", "Completing", "Completed", "Archived", "active")
_IDS = st.integers(1, 8)
_TEXT = _one("", "x", "X", "long " * 60, 'it\'s \\ "quoted"\r\n\t', "\U0001f600 é ", 5, 2.5)
_QUERY = _one(
    {"run": 1},
    {"run": {">": 0}},
    {"run": [1, "2"], "site": "Any"},
    {"site": {"!=": "north"}},
    {"site": "süd", "day": {"<=": "2024-05-01"}},
    {"size": {"<": 1.5}, "site": "north"},
    {"size": "Missing"},
    {"free": "x"},
)
_NUMBER = st.integers(0, 3)
_LIMIT = _one(None, None, 0, 1, 3)
_TABLE = _one("Transformations", "TransformationFiles", "TransformationTasks")
_ORDERS = {
    "Transformations": _one(None, "TransformationName", "Status:DESC", ["Type", "GroupSize:DESC"], "LastUpdate"),
    "TransformationFiles": _one(None, "LFN", "Status:DESC", ["TargetSE", "LastUpdate:DESC", "LFN"], "TaskID"),
    "TransformationTasks": _one(None, "ExternalStatus", "TaskID:DESC", ["ExternalID:DESC", "LastUpdateTime"]),
}
_CONDITIONS = {
    "Transformations": _one(
        {},
        {"Status": ["Active", "New"]},
        {"TransformationName": "t1"},
        {"Author": "user"},
        {"GroupSize": 1},
        {"Body": ""},
    ),
    "TransformationFiles": _one(
        {},
        {"TransformationID": 1},
        {"Status": ["Unused", "Assigned"]},
        {"LFN": "/a/f1"},
        {"TaskID": None},
        {"TaskID": [1, 2]},
    ),
    "TransformationTasks": _one(
        {}, {"TransformationID": [1, 2]}, {"ExternalStatus": "Created"}, {"ExternalID": 0}, {"TargetSE": []}
    ),
}
_SELECT = {
    "Transformations": _one(
        {}, {"Status": ["Active", "New"]}, {"FromDate": "2024-10-15 12:00:03"}, {"Type": "Processing"}
    ),
    "TransformationFiles": _one({}, {"TransformationID": 1}, {"Status": "Unused", "ToDate": "2024-10-15 12:00:30"}),
    "TransformationTasks": _one({}, {"TransformationID": [1, 2]}, {"ExternalStatus": ["Created", "Done"]}),
}
_SORT = {
    "Transformations": _one([], [["TransformationName", "DESC"]], [["Status", "ASC"], ["TransformationID", "DESC"]]),
    "TransformationFiles": _one([], [["FileID", "DESC"]], [["Status", "DESC"], ["TransformationID", "ASC"]]),
    "TransformationTasks": _one([], [["TaskID", "DESC"]], [["ExternalStatus", "ASC"]]),
}
_LISTS = {
    "Transformations": ("getTransformations", "getTransformationsSummaryWeb"),
    "TransformationFiles": ("getTransformationFiles", "getTransformationFilesSummaryWeb"),
    "TransformationTasks": ("getTransformationTasks", "getTransformationTasksSummaryWeb"),
}


@st.composite
def _add(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    words = [draw(_NAMES), draw(_one("", "d")), draw(_TEXT.filter(lambda text: isinstance(text, str))), "Processing"]
    words[3] = draw(_one("Processing", "MCSimulation", "replication"))
    parent = draw(_one(0, 0, 0, 0, "t1", 2))
    query = draw(_one(None, None, {}) | _QUERY)
    size = draw(_one(1, 2.5, 10))
    return "addTransformation", (*words, "Standard", "Manual", "", "General", size, parent, "body", 0, 0, True, query)


@st.composite
def _list(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    table = draw(_TABLE)
    method = _LISTS[table][0]
    column = {"Transformations": "CreationDate", "TransformationFiles": "LastUpdate"}.get(table, "CreationTime")
    bounds = draw(_one((None, None), ("2024-10-15T12:00:10Z", None), (None, "2024-10-15 12:00:05")))
    order, condition, limit = draw(_ORDERS[table]), draw(_CONDITIONS[table]), draw(_LIMIT)
    more = (False,) if table == "Transformations" else () if table == "TransformationFiles" else (True,)
    return method, (condition, *bounds, column, order, limit, *more, draw(_one(None, 1)))


@st.composite
def _summary(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    table = draw(_TABLE)
    method = draw(_one(*_LISTS[table][1:], *(["getTransformationSummaryWeb"] if table == "Transformations" else [])))
    return method, (draw(_SELECT[table]), draw(_SORT[table]), 0, draw(_one(1, 50)))


def _call(method: str, *params: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    return st.tuples(st.just(method), st.tuples(*params))


_PARAMETER = st.one_of(
    st.tuples(st.just("Status"), _STATUS),
    st.tuples(_one("Body", "Description", "AgentType"), _TEXT),
    st.tuples(st.just("TransformationName"), _NAMES),
    st.tuples(_one("GroupSize", "MaxNumberOfTasks"), _one(1, 2, 0.5, "3", -1)),
    st.tuples(_one("own", "Own"), _one(None, True, 1, 1.0, "1", [1, {"a": None}], "x" * 300)),
)
_FILE_STATUSES = st.dictionaries(
    _IDS.map(str), st.tuples(_FILE_STATUS, st.booleans()).map(list), min_size=1, max_size=3
)
_TASK = st.fixed_dictionaries({"lfns": _one([], [], []) | st.lists(_LFN, max_size=2)})
_UPDATE = st.fixed_dictionaries({"TaskID": _NUMBER, "ExternalStatus": _TASK_STATUS}, optional={"Lease": _NUMBER})
_CALLS = [
    (8, _add()),
    (8, _call("addFilesToTransformation", _TRANS, _LFNS)),
    (6, _call("addTaskForTransformation", _TRANS, st.lists(_LFN, max_size=3), _one("Unknown", "SE-1"))),
    (5, _PARAMETER.flatmap(lambda pair: _call("setTransformationParameter", _TRANS, *map(st.just, pair)))),
    (4, _call("setFileStatusForTransformation", _TRANS, _FILE_STATUSES)),
    (2, _call("setFileStatus", _TRANS, st.dictionaries(_LFN, _FILE_STATUS, min_size=1, max_size=3), st.booleans())),
    (1, _call("resetErrorCount", _TRANS, _LFNS)),
    (4, _call("addTasks", _TRANS, st.lists(_TASK, min_size=1, max_size=2))),
    (2, _call("updateTasks", _TRANS, st.lists(_UPDATE, min_size=1, max_size=2))),
    (3, _call("claimTasks", _TRANS, _NUMBER, _one("", "CERN"), _one(1, 3600))),
    (1, _call("releaseLease", _TRANS, _NUMBER)),
    (3, _call("extendTransformation", _TRANS, _NUMBER)),
    (3, _call("getTasksToSubmit", _TRANS, _NUMBER, _one("", "CERN"))),
    (3, _call("setTaskStatus", _TRANS, st.lists(_NUMBER, max_size=2) | _NUMBER, _TASK_STATUS)),
    (2, _call("setTaskStatusAndWmsID", _TRANS, _NUMBER, _TASK_STATUS, _one("77", 78))),
    (2, _call("deleteTasks", _TRANS, _NUMBER, _NUMBER)),
    (3, _call("createTransformationMetaQuery", _TRANS, _QUERY, _one("Input", "Output"))),
    (1, _call("deleteTransformationMetaQuery", _TRANS, _one("Input", "Output"))),
    (4, _call("addFile", _LFNS)),
    (2, _call("addDirectory", _one("/a", "/b", "/nosuch"))),
    (2, _call("removeFile", _LFNS)),
    (2, _call("setMetadata", _one("/a", "/b", "/a/f1"), _one({"run": 1}, {"site": "süd"}, {"size": 0.25}))),
    (1, _call("deleteTransformationParameter", _TRANS, _one("own", "Own"))),
    (1, _call("completeTransformation", _TRANS)),
    (1, _call("cleanTransformation", _TRANS)),
    (1, _call("deleteTransformation", _TRANS)),
    (6, _list()),
    (4, _summary()),
    (1, _call("getTransformation", _TRANS, st.booleans())),
    (1, _call("getTransformationSummary")),
    (1, _call("getTransformationStats", _TRANS)),
    (1, _call("getTransformationTaskStats", _TRANS)),
    (1, _call("getTransformationProgress", _TRANS, _one(None, "2024-10-15 12:00"), st.none(), _one(2, 200))),
    (1, _call("getTransformationFilesCount", _TRANS, _one("Status", "UsedSE", "TaskID", "date(LastUpdate)"))),
    (1, _call("getFileSummary", _LFNS)),
    (1, _call("exists", _LFNS)),
    (1, _call("getTransformationWithStatus", st.lists(_STATUS, max_size=2))),
    (1, _call("getDistinctAttributeValues", _one("Status", "GroupSize", "CreationDate"), _SELECT["Transformations"])),
    (1, _call("getCounters", st.just("TransformationFiles"), _one(["Status"], ["TaskID", "UsedSE"]), st.just({}))),
    (1, _call("getTransformationMetaQuery", _TRANS, _one("Input", "Output"))),
    (1, _call("getTransformationLogging", _TRANS)),
    (1, _call("getAdditionalParameters", _TRANS)),
]
_ANY_CALL = _one(*(number for number, (weight, _) in enumerate(_CALLS) for _ in range(weight))).flatmap(
    lambda number: _CALLS[number][1]
)


@st.composite
def _operation(draw: st.DrawFn) -> Operation:
    caller = draw(_one("manager", "manager", "manager", "sharer", "user"))
    method, params = draw(_ANY_CALL)
    return Operation(caller, method, params, draw(_one(1, 1, 0, 7)))


def operations(max_size: int = 30) -> st.SearchStrategy[list[Operation]]:
    """Return a strategy for sequences of calls that begin with a transformation and mostly succeed."""
    first = Operation("manager", "addTransformation", ("t1", "d", "l", "MCSimulation", "Standard", "Manual", ""))
    return st.lists(_operation(), min_size=1, max_size=max_size).map(lambda rest: [first, *rest])


async def differences(first: Harness, second: Harness, sequence: Sequence[Operation]) -> list[str]:
    """Run a sequence on two services, both open, and return where answers and final states differ.

    Both are emptied first.
    """
    one, other = await outcomes(first, sequence), await outcomes(second, sequence)
    found = [
        f"{operation}: {show(left)} or {show(right)}"
        for operation, left, right in zip(sequence, one, other, strict=True)
        if left != right
    ]
    states = await state(first), await state(second)
    for table in sorted(states[0].keys() | states[1].keys()):
        left, right = (rows.get(table) for rows in states)
        if left != right:
            found.append(f"the table {table} ends as {show(left)} or {show(right)}")
    return found


async def outcomes(
    harness: Harness,
    sequence: Sequence[Operation],
    after: Callable[[], Awaitable[object]] | None = None,
) -> list[Any]:
    """Return the result of each call, or the type of its error, on an emptied service.

    :param after: called after each call.
    """
    from ...core.errors import TMError
    from .local import LocalClient

    now = START
    await harness.reset(now.isoformat(), CATALOG)
    found: list[Any] = []
    for operation in sequence:
        now += timedelta(seconds=operation.seconds)
        await harness.set_clock(now.isoformat())
        async with LocalClient(harness.service, CALLERS[operation.caller]) as client:
            try:
                found.append({"result": await client.call(operation.method, *operation.params)})
            except TMError as error:
                found.append({"error": error.type})
        if after is not None:
            await after()
    return found


async def state(harness: Harness) -> dict[str, list[Row]]:
    """Return the rows of all tables, in an order of their own."""

    private = (*BOOKKEEPING, *_PRIVATE_TABLES)

    async def body(tx: Transaction) -> dict[str, list[Row]]:
        names = [row["name"] for row in await tx.fetch_all(tx.dialect.tables)]
        return {name: await tx.fetch_all(f"SELECT * FROM {name}") for name in names if name not in private}

    tables = await harness.service.storage.run("state", body, read=True)
    return {name: sorted(_plain(rows), key=repr) for name, rows in tables.items()}


def _plain(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield rows with their columns by name: the order of columns is the engine's business."""
    for row in rows:
        yield {name: row[name] for name in sorted(row) if name not in _PRIVATE_COLUMNS}
