"""Whatever the arguments: a result or an error for the caller, never an internal one; on both engines."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from jsonrpc_tm.catalog.builtin import BuiltinCatalog
from jsonrpc_tm.core.errors import InternalError, TMError

from .pages import RELAXED, TABLES

REFUSALS = tuple(kind for kind in TMError.__subclasses__() if kind is not InternalError)
WORDS = (
    *TABLES,
    *("DataFiles", "TransformationID", "TaskID", "Status", "LFN", "GroupSize", "CreationDate", "Body", "ASC", "DESC"),
    *("FromDate", "ToDate", "date(LastUpdate)", "Input", "Missing", "Any", "/f0", "/vo", "/", "", "1", "-5", "1e400"),
    *("2024-01-01", "0001-01-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "é\U0001f600", "'\"\\%_;:x"),
    *("x" * 256, "x" * 70_000, "0" * 30 + "1"),
)
texts = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
scalars = (
    texts
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.sampled_from([0, 1, 2])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
)
names = texts | st.sampled_from(["SortList", "StartItem", "MaxItems", "=", "<", "in"])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
conditions = st.dictionaries(st.sampled_from(WORDS), scalars | st.lists(scalars, max_size=3), max_size=3)
pairs = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["ASC", "desc", "x"])).map(list), max_size=2)
numbers = st.sampled_from([0, 1, 9])
tables = st.sampled_from([*TABLES, "DataFiles"])
some = st.lists(st.sampled_from(WORDS), max_size=3)
page = (conditions | anything, pairs | anything, numbers | anything, numbers | anything)
paths = st.sampled_from(["/", "/vo", "/vo/a", "/f0"]) | anything


def call(method, *params):
    return st.tuples(st.just(method), *params)


calls = st.one_of(
    *(call(method, *page) for method in ("getTransformationSummaryWeb", *(entry[0] for entry in TABLES.values()))),
    call(
        "getTabbedSummaryWeb",
        tables | anything,
        st.dictionaries(tables, st.just({}) | anything, max_size=2) | anything,
        *page,
    ),
    call("getCounters", tables | anything, some | anything, conditions | anything, anything, anything, texts),
    call("getTableDistinctAttributeValues", tables | anything, some | anything, conditions | anything),
    *(
        call(method, paths)
        for method in ("addFile", "exists", "removeFile", "addDirectory", "catalog.get", "catalog.remove")
    ),
    call("setMetadata", paths, anything),
    call(
        "createTransformationMetaQuery",
        st.just(1) | anything,
        anything,
        st.sampled_from(["Input", "Output"]) | anything,
    ),
    call("deleteTransformationMetaQuery", st.just(1) | anything, st.sampled_from(["Input", "Output"])),
    call("catalog.addFields", anything),
    call(
        "catalog.addFiles", st.dictionaries(st.sampled_from(["/a", "/a/b", "/"]), anything, max_size=3), st.booleans()
    ),
    call("catalog.setMetadata", paths, anything),
    call("catalog.find", anything, paths, numbers | anything, anything),
)


@settings(RELAXED, max_examples=150)
@given(call=calls)
async def test_no_internal_error(full, call):
    full.catalog.current = BuiltinCatalog(full.service.storage)
    with contextlib.suppress(*REFUSALS):
        await full(*call)
