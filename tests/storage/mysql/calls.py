"""Random calls of every method, few names so that they meet."""

from hypothesis import strategies as st

from jsonrpc_tm.core import model

NAMES = ["t", "T", "t ", "tä", "😀", "absent"]
LFNS = [
    "/vo/x/a",
    "/vo/x/A",
    "/vo/x/a ",
    "/vo/x/ä",
    "/vo/x/😀",
    "/vo/y/b;c",
    "/vo/gamma/g1.dat",
    "/vo/gamma/g2.dat",
    "/no",
]
FILE_STATUSES = ["Unused", "Assigned", "Processed", "ProbInFC", "Moved", "Mine", "Deleted", "x-y"]
TASK_STATUSES = ["Created", "Reserved", "Done", "Failed", "other"]
DATES = ["2024-10-15", "2024-10-15 12:00:03", "2024-10-15T12:00:10Z", None, ""]

name = st.sampled_from(NAMES)
# mostly the two that SETUP makes
trans = st.sampled_from(["t", "t", "t", "T", "T", 1, "1", 2, 2, 3, *NAMES])
lfn = st.sampled_from(LFNS)
lfns = st.lists(lfn, min_size=1, max_size=4)
task = st.integers(1, 6)
query = st.dictionaries(
    st.sampled_from(["particle", "zenith", "energy", "free"]),
    st.one_of(
        st.sampled_from(["gamma", "Any", "Missing", 20, 1.5, True]),
        st.lists(st.sampled_from(["gamma", "proton", 20]), min_size=1, max_size=2),
        st.sampled_from([{">=": 10}, {"<": 30.5, "!=": 5}, {"in": ["gamma"]}]),
    ),
    min_size=1,
    max_size=2,
)
kind = st.sampled_from(["Input", "Output"])
json_value = st.sampled_from([1, 1.0, "x", "é \\ '\" %s", None, True, [1, "a"], {"k": {}}, 2**62, 0.1])
parameter = st.sampled_from(
    ["Description", "Body", "Status", "GroupSize", "MaxNumberOfTasks", "Extra", "extra", "Author"]
)


def table_values(table: str) -> st.SearchStrategy:
    """Return condDicts over a table."""
    columns = model.TABLES[table].columns
    kinds = {
        "int": st.sampled_from([1, 2, "1", None, 0]),
        "float": st.sampled_from([1, 1.5, "1.0"]),
        "text": st.sampled_from(["t", "T", "Unused", "Created", "Unknown", "", "Mine", 7]),
        "date": st.sampled_from(["2024-10-15 12:00:05", "2024-10-15T12:00:00Z"]),
    }
    pairs = [
        st.tuples(st.just(column.name), st.one_of(kinds[column.kind], st.lists(kinds[column.kind], max_size=2)))
        for column in columns.values()
    ]
    return st.lists(st.one_of(pairs), max_size=2).map(dict)


def order(table: str) -> st.SearchStrategy:
    """Return orderAttributes of a table."""
    column = st.sampled_from(list(model.TABLES[table].columns))
    direction = st.sampled_from(["", ":ASC", ":DESC", ":desc"])
    one = st.tuples(column, direction).map("".join)
    return st.one_of(st.none(), one, st.lists(one, min_size=1, max_size=2))


limit = st.sampled_from([None, 0, 1, 2, 100])
offset = st.sampled_from([None, 0, 1, 3])


def listing(method: str, table: str, stamp: str) -> st.SearchStrategy:
    """Return calls of a list method."""
    return st.fixed_dictionaries(
        {"condDict": st.one_of(st.none(), table_values(table))},
        optional={
            "older": st.sampled_from(DATES),
            "newer": st.sampled_from(DATES),
            "timeStamp": st.sampled_from([stamp]),
            "orderAttribute": order(table),
            "limit": limit,
            "offset": offset,
        },
    ).map(lambda params: (method, params))


def web(method: str, table: str) -> st.SearchStrategy:
    """Return calls of a summary."""
    column = st.sampled_from(list(model.TABLES[table].columns))
    sort = st.lists(st.tuples(column, st.sampled_from(["ASC", "DESC"])).map(list), max_size=2)
    return st.tuples(
        table_values(table).map(lambda conditions: {k: v for k, v in conditions.items() if v is not None}),
        sort,
        st.integers(0, 1),
        st.integers(0, 5),
    ).map(lambda params: (method, list(params)))


def call(method: str, *params: st.SearchStrategy) -> st.SearchStrategy:
    """Return calls with positional parameters."""
    return st.tuples(*params).map(lambda values: (method, list(values)))


PREPARING = st.one_of(
    st.tuples(
        name,
        st.sampled_from(["MCSimulation", "DataReprocessing"]),
        st.one_of(st.just(0), trans),
        st.one_of(st.none(), query),
        st.booleans(),
    ).map(
        lambda v: (
            "addTransformation",
            {
                "transName": v[0],
                "description": "dé",
                "longDescription": "",
                "transType": v[1],
                "plugin": "P",
                "agentType": "Manual",
                "fileMask": "",
                "inheritedFrom": v[2],
                "inputMetaQuery": v[3],
                "addFiles": v[4],
            },
        )
    ),
    call("addFilesToTransformation", trans, lfns),
    call("addTaskForTransformation", trans, st.lists(lfn, max_size=2), st.sampled_from(["SE", "se"])),
    call("extendTransformation", trans, st.integers(0, 3)),
)
CHANGING = st.one_of(
    call("deleteTransformation", trans),
    call("cleanTransformation", trans),
    call("completeTransformation", trans),
    call("setTransformationParameter", trans, parameter, json_value),
    call("setTransformationParameter", trans, parameter, json_value, json_value),
    call("setTransformationParameter", trans, st.just("TransformationName"), name),
    call("deleteTransformationParameter", trans, parameter),
    call(
        "setFileStatusForTransformation",
        trans,
        st.dictionaries(
            st.integers(1, 6).map(str),
            st.one_of(
                st.sampled_from(FILE_STATUSES), st.tuples(st.sampled_from(FILE_STATUSES), st.booleans()).map(list)
            ),
            max_size=3,
        ),
    ),
    call("setTaskStatus", trans, st.one_of(task, st.lists(task, max_size=3)), st.sampled_from(TASK_STATUSES)),
    call("setTaskStatusAndWmsID", trans, task, st.sampled_from(TASK_STATUSES), st.sampled_from(["1", "é 2", 17])),
    call("deleteTasks", trans, task, task),
    call("getTasksToSubmit", trans, st.integers(0, 3), st.sampled_from(["", "CERN"])),
    call("addFile", lfns),
    call("addDirectory", st.sampled_from(["/vo/gamma", "/vo/proton", "/absent"])),
    call("removeFile", lfns),
    call("setMetadata", st.sampled_from(["/vo/gamma", "/vo/gamma/g1.dat", "/absent"]), query),
    call("createTransformationMetaQuery", trans, query, kind),
    call("deleteTransformationMetaQuery", trans, kind),
)
TABLES = ("Transformations", "TransformationFiles", "TransformationTasks")
READING = st.one_of(
    listing("getTransformations", "Transformations", "CreationDate"),
    listing("getTransformationFiles", "TransformationFiles", "LastUpdate"),
    listing("getTransformationTasks", "TransformationTasks", "CreationTime"),
    call("getTransformation", trans, st.booleans()),
    call("getAdditionalParameters", trans),
    call("getTransformationParameters", trans, st.lists(parameter, min_size=1, max_size=3)),
    call("getTransformationWithStatus", st.sampled_from(["New", ["New", "Completed"]])),
    call("getTransformationLogging", trans),
    call("getTransformationStatusCounters"),
    call("getTransformationStats", trans),
    call(
        "getTransformationFilesCount",
        trans,
        st.sampled_from(["Status", "TaskID", "UsedSE", "date(LastUpdate)", "ErrorCount"]),
        table_values("TransformationFiles"),
    ),
    call("getFileSummary", lfns),
    call("getTransformationTaskStats", trans),
    call("exists", lfns),
    call("getTransformationMetaQuery", trans, kind),
    call("getTransformationSummary"),
    web("getTransformationSummaryWeb", "Transformations"),
    web("getTransformationsSummaryWeb", "Transformations"),
    web("getTransformationTasksSummaryWeb", "TransformationTasks"),
    web("getTransformationFilesSummaryWeb", "TransformationFiles"),
    *(web("getTabbedSummaryWeb", table).map(lambda c, t=table: (c[0], [t, {}, *c[1]])) for table in TABLES),
    *(
        st.tuples(
            st.lists(st.sampled_from(list(model.TABLES[table].columns)), min_size=1, max_size=2), table_values(table)
        ).map(lambda v, t=table: ("getCounters", [t, *v]))
        for table in TABLES
    ),
    *(
        st.tuples(
            st.lists(st.sampled_from(list(model.TABLES[table].columns)), min_size=1, max_size=2), table_values(table)
        ).map(lambda v, t=table: ("getTableDistinctAttributeValues", [t, *v]))
        for table in TABLES
    ),
)
SETUP = [
    ("addTransformation", ["t", "d", "l", "MCSimulation", "P", "Manual", ""]),
    ("addTransformation", ["T", "d", "l", "DataReprocessing", "P", "Manual", ""]),
    ("addFilesToTransformation", ["t", LFNS[:5]]),
    ("addFilesToTransformation", ["T", LFNS[2:8]]),
    ("addTaskForTransformation", ["t", LFNS[:2]]),
    ("addTaskForTransformation", ["T", LFNS[3:5], "SE"]),
    ("extendTransformation", ["t", 3]),
    ("createTransformationMetaQuery", ["T", {"particle": "gamma"}, "Input"]),
]
SEQUENCES = st.lists(st.one_of(PREPARING, CHANGING, CHANGING, READING, READING), min_size=15, max_size=30).map(
    lambda calls: [*SETUP, *calls]
)
