"""getCounters and the distinct values: against recounts of whole tables, with every kind of column."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.model import TABLES

PLAIN = [(table, name) for table in TABLES.values() for name in table.columns]
JSON = ("ParameterValue", "MetaDataValue")


async def fill(tm):
    """Three transformations with files, tasks, queries and parameters over two days."""
    await tm.add("a", inputMetaQuery={"x": 1, "y": ["p"]}, addFiles=False, body="<a/>")
    await tm("addFilesToTransformation", "a", ["/1", "/2", "/3"])
    tm.later(86_400)
    await tm.add("b", who="carol", groupSize=2.5)
    await tm.add("c", transType="Simulation")
    await tm("addFilesToTransformation", "b", ["/2", "/é"])
    await tm("addTaskForTransformation", "a", ["/1", "/2"], "SE1")
    await tm("extendTransformation", "c", 3)
    tm.later()
    await tm("setFileStatusForTransformation", "a", {"3": ["Moved-inherited", True]})
    for name, value in (("number", 5), ("text", "5"), ("list", [1, {"a": None}]), ("null", None), ("flag", False)):
        await tm("setTransformationParameter", "a", name, value)
    return tm


@pytest.fixture
async def busy(tm):
    return await fill(tm)


@pytest.fixture
async def small(sqlite_tm):
    return await fill(sqlite_tm)


def ascending(values):
    return sorted(values, key=lambda value: (value is not None, value))


async def test_every_column_of_every_table(busy):
    for table, name in PLAIN:
        rows = [row["value"] for row in await busy.fetch(f"SELECT {name} AS value FROM {table.name}")]
        if name in table.dates:
            rows = [value and f"{value.replace(' ', 'T')}Z" for value in rows]
        counters = await busy("getCounters", table.name, [name], {})
        values = await busy("getTableDistinctAttributeValues", table.name, [name], {})
        assert values == {name: [row[0][name] for row in counters]}
        if name not in JSON:
            counts = Counter(rows)
            assert counters == [[{name: value}, counts[value]] for value in ascending(counts)]
        if table.name == "Transformations":
            assert await busy("getDistinctAttributeValues", name, {}) == values[name]


async def test_values_that_are_stored_as_json_are_shown_as_they_were_given(busy):
    counters = await busy("getCounters", "AdditionalParameters", ["ParameterName", "ParameterValue"], {})
    assert {row[0]["ParameterName"]: row[0]["ParameterValue"] for row in counters} == {
        "flag": False,
        "list": [1, {"a": None}],
        "null": None,
        "number": 5,
        "text": "5",
    }
    for value, name in ((5, "number"), ("5", "text"), (False, "flag")):
        assert await busy("getCounters", "AdditionalParameters", ["ParameterName"], {"ParameterValue": value}) == [
            [{"ParameterName": name}, 1]
        ]
    either = {"ParameterValue": [5, "5"]}
    assert len(await busy("getCounters", "AdditionalParameters", ["ParameterName"], either)) == 2
    assert await busy("getTableDistinctAttributeValues", "TransformationMetaQueries", ["MetaDataValue"], {}) == {
        "MetaDataValue": [1, ["p"]]
    }


async def test_a_value_that_another_program_wrote_is_shown_as_text(small):
    async def body(tx):
        await tx.execute("UPDATE AdditionalParameters SET ParameterValue = 'plain' WHERE ParameterName = 'text'")

    await small.service.storage.run("test", body)
    condition = {"ParameterName": "text"}
    assert await small("getCounters", "AdditionalParameters", ["ParameterValue"], condition) == [
        [{"ParameterValue": "plain"}, 1]
    ]


async def test_null_comes_first(busy):
    assert await busy("getCounters", "TransformationFiles", ["TaskID"], {}) == [
        [{"TaskID": None}, 3],
        [{"TaskID": 1}, 2],
    ]
    assert await busy("getTableDistinctAttributeValues", "TransformationFiles", ["TaskID"], {}) == {"TaskID": [None, 1]}


async def test_days(busy):
    assert await busy("getCounters", "TransformationFiles", ["date(InsertedTime)", "TransformationID"], {}) == [
        [{"date(InsertedTime)": "2024-10-15", "TransformationID": 1}, 3],
        [{"date(InsertedTime)": "2024-10-16", "TransformationID": 2}, 2],
    ]
    for name in (
        "date(Status)",
        "date(InsertedTime",
        "date (LastUpdate)",
        "DATE(LastUpdate)",
        "date(LFN)",
        "lfn",
        "LFN",
    ):
        await busy.refused("InvalidParams", "getCounters", "TransformationFiles", [name], {})
    await busy.refused(
        "InvalidParams", "getTableDistinctAttributeValues", "TransformationFiles", ["date(LastUpdate)"], {}
    )


async def test_texts_group_exactly(busy):
    for name in ("A", "a ", "á"):
        await busy("setTransformationParameter", "b", name, 1)
        await busy("setTransformationParameter", "c", name, 1)
    counters = await busy("getCounters", "AdditionalParameters", ["ParameterName"], {"TransformationID": [2, 3]})
    assert counters == [[{"ParameterName": name}, 2] for name in ("A", "a ", "á")]


async def test_a_column_twice_counts_once(small):
    assert await small("getCounters", "Transformations", ["Type", "Type"], {}) == await small(
        "getCounters", "Transformations", ["Type"], {}
    )


async def test_bounds(busy):
    counted = ("getCounters", "Transformations", ["TransformationName"], None)
    day = "2024-10-16T12:00:00Z"
    assert [row[0]["TransformationName"] for row in await busy(*counted, day, None, "CreationDate")] == ["a"]
    assert [row[0]["TransformationName"] for row in await busy(*counted, None, day, "CreationDate")] == ["b", "c"]
    assert len(await busy(*counted, "", None, None)) == 3
    assert len(await busy(*counted, None, None, "nonsense")) == 3
    for bounds in ((day, None, None), (day, None, "Status"), ("soon", None, "CreationDate"), (5, None, "CreationDate")):
        await busy.refused("InvalidParams", *counted, *bounds)


@pytest.mark.parametrize(
    ("method", "params", "wrong"),
    [
        ("getCounters", ("Transformations", [], {}), "attrList"),
        ("getCounters", ("Transformations", ["NoSuch"], {}), "attrList"),
        ("getCounters", ("Transformations", "Type", {}), "attrList"),
        ("getCounters", ("Transformations", None, {}), "attrList"),
        ("getCounters", ("TaskCounters", ["LastTaskID"], {}), "table"),
        ("getCounters", ("transformations", ["Type"], {}), "table"),
        ("getCounters", ("Transformations; --", ["Type"], {}), "table"),
        ("getCounters", ("Transformations", ["Type"], {"NoSuch": 1}), "condDict"),
        ("getCounters", ("Transformations", ["Type"], {"TransformationID": "x"}), "condDict"),
        ("getCounters", ("Transformations", ["Type"], []), "condDict"),
        ("getCounters", ("Transformations", ["Type"]), "condDict"),
        ("getTableDistinctAttributeValues", ("NoSuch", ["Type"], {}), "table"),
        ("getTableDistinctAttributeValues", ("Transformations", ["Type", "no"], {}), "attributes"),
        ("getTableDistinctAttributeValues", ("Transformations", "Type", {}), "attributes"),
        ("getTableDistinctAttributeValues", ("TransformationFiles", ["LFN"], {}), "attributes"),
        ("getTableDistinctAttributeValues", ("TransformationFiles", ["Status"], {"LFN": "/1"}), "selectDict"),
        ("getDistinctAttributeValues", ("no", {}), "attribute"),
        ("getDistinctAttributeValues", ("", {}), "attribute"),
        ("getDistinctAttributeValues", (["Type"], {}), "attribute"),
        ("getDistinctAttributeValues", ("Type", {"FromDate": "2024-01-01"}), "selectDict"),
        ("getDistinctAttributeValues", ("Type", "x"), "selectDict"),
        ("getDistinctAttributeValues", ("Type",), "selectDict"),
    ],
)
async def test_wrong_parameters(small, method, params, wrong):
    assert list((await small.refused("InvalidParams", method, *params))["errors"]) == [wrong]


async def test_no_conditions(small):
    assert await small("getDistinctAttributeValues", "Type", None) == ["Processing", "Simulation"]
    assert await small("getTableDistinctAttributeValues", "DataFiles", [], None) == {}
    assert await small("getCounters", "Transformations", ["Type"], {"Type": []}) == []


async def test_a_reading_policy_limits_every_table(busy):
    busy.policy.allowed = {"TransformationName": "b"}
    for table in TABLES.values():
        name = "TransformationID" if "TransformationID" in table.columns else "LFN"
        expected = {"TransformationID": [2], "LFN": ["/2", "/é"]}[name]
        found = (await busy("getTableDistinctAttributeValues", table.name, [name], {}))[name]
        assert found in ([], expected)
        assert [row[0][name] for row in await busy("getCounters", table.name, [name], {})] == found
        if table.name in ("Transformations", "DataFiles", "TransformationFiles", "TransformationLog"):
            assert found == expected
    assert await busy("getDistinctAttributeValues", "TransformationName", {}) == ["b"]


columns = st.lists(
    st.sampled_from(["TransformationID", "Status", "TaskID", "UsedSE", "ErrorCount", "LastUpdate"]),
    min_size=1,
    max_size=3,
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "TransformationID": st.lists(st.integers(1, 4), max_size=2) | st.integers(1, 4),
        "Status": st.lists(st.sampled_from(["Unused", "Assigned", "unused", "Moved-inherited"]), max_size=2),
        "TaskID": st.sampled_from([None, 1, "1", [None, 1], [2]]),
    },
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(columns=columns, conditions=conditions)
async def test_counters_equal_a_recount(small, columns, conditions):
    def wanted(row):
        for name, asked in conditions.items():
            listed = asked if isinstance(asked, list) else [asked]
            if row[name] not in [
                int(value) if isinstance(value, str) and name != "Status" else value for value in listed
            ]:
                return False
        return True

    rows = [row for row in await small("getTransformationFiles", {}) if wanted(row)]
    counts = Counter(tuple(row[name] for name in columns) for row in rows)
    ordered = sorted(counts, key=lambda values: [(value is not None, value) for value in values])
    expected = [[dict(zip(columns, values, strict=True)), counts[values]] for values in ordered]
    assert await small("getCounters", "TransformationFiles", columns, conditions) == expected
