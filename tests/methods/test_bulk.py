"""Bulk operations: previewed, done chunk by chunk, cancelled, undone (section 8.4 of the specification)."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpc_tm.core.identity import User
from jsonrpc_tm.core.records import StatusRule
from jsonrpc_tm.domain.bulk import actions
from jsonrpc_tm.methods import bulk
from jsonrpc_tm.rpc.chain import Afterwards
from jsonrpc_tm.storage.dialect import SQLite
from jsonrpc_tm.storage.sqlite import SqliteStorage

from ..domain.test_counters import drift
from .driver import PEOPLE, Driver

LFNS = [f"/vo/{number}" for number in range(6)]


@dataclass
class Registry:
    """The people of the driver, of whom a test may change the rights."""

    groups: dict = field(default_factory=lambda: {one.group: one.properties for one in PEOPLE.values()})
    suspended: set = field(default_factory=set)

    def by_name(self, name):
        found = [one for one in PEOPLE.values() if one.username == name]
        return User(name, (found[0].group,), suspended=name in self.suspended) if found else None

    def by_dn(self, dn):
        return None

    def by_subject(self, issuer, subject):
        return None

    def properties(self, group):
        return self.groups.get(group, ())


@pytest.fixture(autouse=True)
def _nobody_else_works(monkeypatch):
    """Let a test do the chunks, and not the server."""
    monkeypatch.setattr(bulk, "_IDLE", 1000)
    monkeypatch.setattr(Afterwards, "signal", lambda *_: None)


@pytest.fixture
async def t(tm):
    """Two transformations of alice's, one of the manager's, with files and tasks."""
    tm.service.users = Registry()
    await tm.add("a", who="alice", transType="Simulation")
    await tm.add("b", who="manager", transType="Simulation")
    for name in "ab":
        await tm("addFilesToTransformation", name, LFNS)
        await tm("addTaskForTransformation", name, LFNS[:4])
    return tm


async def finish(tm, limit=100):
    """Do chunk after chunk, until nothing is left."""
    for _ in range(limit):
        if not await bulk.step(tm.service):
            return
    raise AssertionError("it does not end")


async def started(tm, *params, who="manager"):
    return await tm("startBulk", *params, False, who=who)


async def statuses(tm, name="a"):
    rows = await tm("getTransformationFiles", {"TransformationID": {"a": 1, "b": 2}[name]})
    return [(row["Status"], row["ErrorCount"], row["TaskID"]) for row in rows]


async def test_a_preview_counts_and_changes_nothing(t):
    before = await statuses(t), await t.fetch("SELECT * FROM BulkOperations")
    asked = ("files", {"Status": "Assigned"}, "setStatus", {"status": "Unused"})
    assert await t("startBulk", *asked) == {
        "Count": 8,
        "Refused": {},
        "Sample": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [2, 3], [2, 4]],
    }
    assert await t("startBulk", *asked, who="alice") == {
        "Count": 4,
        "Refused": {"Forbidden": 4},
        "Sample": [[1, 1], [1, 2], [1, 3], [1, 4]],
    }
    await t("setFileStatus", "a", {LFNS[0]: "Processed"})
    assert (await t("startBulk", "files", {"LFN": LFNS[0]}, "setStatus", {"status": "Unused"}))["Refused"] == {
        "InvalidState": 1
    }
    assert (await t("startBulk", "files", {"LFN": LFNS[0]}, "setStatus", {"status": "Unused", "force": True}))[
        "Refused"
    ] == {}
    assert (await t("startBulk", "transformations", {"Status": "New"}, "start"))["Sample"] == [1, 2]
    await t("setFileStatus", "a", {LFNS[0]: "Assigned"}, True)
    assert (await statuses(t), await t.fetch("SELECT * FROM BulkOperations")) == before


async def test_files_move_by_the_state_machine_and_come_back(t):
    before = await statuses(t)
    number = await started(t, "files", {"TransformationID": 1}, "setStatus", {"status": "Unused"})
    await finish(t)
    told = await t("getBulk", number)
    assert (told["State"], told["Total"], told["Done"], told["Skipped"], told["Refused"]) == ("Done", 6, 6, 0, {})
    assert await statuses(t) == [("Unused", 1, 1)] * 4 + [("Unused", 0, None)] * 2
    assert await statuses(t, "b") == before
    undone = await t("undoBulk", number)
    await finish(t)
    assert await statuses(t) == before
    assert (await t("getBulk", undone))["Done"] == 6
    assert await drift(t) == {}


async def test_what_was_changed_since_is_not_put_back(t):
    number = await started(t, "files", {"TransformationID": 1, "Status": "Assigned"}, "setStatus", {"status": "Unused"})
    await finish(t)
    await t("setFileStatus", "a", {LFNS[1]: "Problematic"})
    undone = await t("undoBulk", number)
    await finish(t)
    told = await t("getBulk", undone)
    assert (told["Done"], told["Skipped"]) == (3, 1)
    assert [status for status, *_ in await statuses(t)][:4] == ["Assigned", "Problematic", "Assigned", "Assigned"]


async def test_a_value_of_another_type_is_a_change(t):
    number = await started(t, "transformations", {}, "setParameter", {"name": "p", "value": [0, {"x": 1}]})
    await finish(t)
    await t("setTransformationParameter", "a", "p", [False, {"x": 1}])
    await t("setTransformationParameter", "b", "p", [0.0, {"x": 1}])
    await t("undoBulk", number)
    await finish(t)
    assert await t("getAdditionalParameters", "a") == {"p": [False, {"x": 1}]}
    assert await t("getAdditionalParameters", "b") == {}


async def test_what_no_longer_matches_is_skipped(t):
    number = await started(t, "tasks", {"ExternalStatus": "Created"}, "setStatus", {"status": "Failed"})
    await t("setTaskStatus", "b", 1, "Done")
    await finish(t)
    told = await t("getBulk", number)
    assert (told["Total"], told["Done"], told["Skipped"]) == (2, 1, 1)
    assert (await t("getTransformationTaskStats", "b"))["Done"] == 1


async def test_rights_are_read_anew_for_each_chunk(t, monkeypatch):
    one = actions.ACTIONS["files"]["setStatus"]
    monkeypatch.setitem(bulk.ACTIONS["files"], "setStatus", one.__class__(one.method, one.apply, one.foresee, 2))
    number = await started(t, "files", {"TransformationID": 1}, "setStatus", {"status": "Problematic"}, who="alice")
    assert await bulk.step(t.service)
    t.service.users.suspended.add("alice")
    await finish(t)
    told = await t("getBulk", number)
    assert (told["State"], told["Done"], told["Refused"]) == ("Done", 2, {"Forbidden": 4})
    assert [status for status, *_ in await statuses(t)].count("Problematic") == 2


async def test_an_operation_has_no_more_rights_than_its_author_had_at_the_start(t, monkeypatch):
    """A token may give less than the registry does."""
    whole = PEOPLE["manager"]
    monkeypatch.setitem(PEOPLE, "manager", replace(whole, properties=("ProductionUser",)))
    number = await started(t, "files", {}, "setStatus", {"status": "Problematic"})
    monkeypatch.setitem(PEOPLE, "manager", whole)
    await finish(t)
    told = await t("getBulk", number)
    assert (told["Done"], told["Refused"]) == (0, {"Forbidden": 12})
    assert "Problematic" not in [status for status, *_ in await statuses(t)]


@pytest.mark.parametrize("changes", [("complete", {}), ("setParameter", {"name": "Status", "value": "Completed"})])
async def test_with_strict_statuses_the_machine_is_asked_as_by_the_methods(changes):
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, settings={"transformations.strict_statuses": True})
        async with tm.service:
            tm.service.users = Registry()
            for name in "ab":
                await tm.add(name)
            await tm("setTransformationParameter", "a", "Status", "Archived")
            assert (await tm("startBulk", "transformations", {}, *changes))["Refused"] == {"InvalidState": 1}
            number = await started(tm, "transformations", {}, *changes)
            await finish(tm)
            told = await tm("getBulk", number)
            assert (told["Done"], told["Refused"]) == (1, {"InvalidState": 1})
            assert await tm("getTransformationParameters", "a", "Status") == "Archived"


async def test_what_a_rule_refuses_stays_as_it_is(storage):
    rule = StatusRule("file", lambda old, new: "no" if (old, new) == ("MaxReset", "Unused") else None)
    tm = Driver(storage, rules=[rule])
    async with tm.service:
        tm.service.users = Registry()
        await tm.add("a")
        await tm("addFilesToTransformation", "a", LFNS)
        await tm("addTaskForTransformation", "a", LFNS[:2])
        await tm("setFileStatus", "a", dict.fromkeys(LFNS[:2], "MaxReset"))
        before = await statuses(tm)
        number = await started(tm, "files", {}, "resetErrors", {})
        await finish(tm)
        assert (await tm("getBulk", number))["Refused"] == {"InvalidState": 6}
        assert await statuses(tm) == before
        assert {errors for _, errors, _ in before} == {0, 1}


async def test_what_a_rule_refuses_of_an_undoing_stays_whole(storage, monkeypatch):
    monkeypatch.setattr(SQLite, "apart", 1)
    rule = StatusRule("file", lambda old, new: "no" if (old, new) == ("Mine", "B") else None)
    tm = Driver(storage, rules=[rule])
    async with tm.service:
        tm.service.users = Registry()
        await tm.add("a")
        await tm("addFilesToTransformation", "a", LFNS)
        await tm("setFileStatus", "a", dict(zip(LFNS, "AABBCC", strict=True)), True)
        number = await started(tm, "files", {}, "setStatus", {"status": "Mine"})
        await finish(tm)
        before = await statuses(tm)
        undone = await tm("undoBulk", number)
        await finish(tm)
        assert (await tm("getBulk", undone))["Refused"] == {"InvalidState": 6}
        assert await statuses(tm) == before == [("Mine", 0, None)] * 6


async def test_cancelled_in_the_middle_it_stops_and_can_be_undone(t, monkeypatch):
    one = actions.ACTIONS["files"]["resetErrors"]
    monkeypatch.setitem(bulk.ACTIONS["files"], "resetErrors", one.__class__(one.method, one.apply, one.foresee, 2))
    await t("setFileStatus", "a", dict.fromkeys(LFNS, "MaxReset"))
    before = await statuses(t)
    number = await started(t, "files", {"TransformationID": 1}, "resetErrors", {})
    assert await bulk.step(t.service)
    await t.refused("InvalidState", "undoBulk", number)
    await t("cancelBulk", number)
    assert not await bulk.step(t.service)
    told = await t("getBulk", number)
    assert (told["State"], told["Done"]) == ("Cancelled", 2)
    assert [status for status, *_ in await statuses(t)].count("Unused") == 2
    await t("undoBulk", number)
    await finish(t)
    assert await statuses(t) == before


async def test_transformations_start_and_parameters_come_back(t):
    await t("setTransformationParameter", "a", "mine", [1])
    await t("setTransformationParameter", "b", "Status", "Archived")
    number = await started(t, "transformations", {}, "start", {})
    other = await started(t, "transformations", {}, "setParameter", {"name": "mine", "value": {"x": 2}})
    core = await started(t, "transformations", {}, "setParameter", {"name": "GroupSize", "value": 5})
    await finish(t)
    assert (await t("getBulk", number))["Refused"] == {"InvalidState": 1}
    assert await t("getTransformationParameters", "a", ["Status", "AgentType"]) == {
        "Status": "Active",
        "AgentType": "Automatic",
    }
    assert await t("getAdditionalParameters", "b") == {"mine": {"x": 2}}
    for one in (number, other, core):
        await t("undoBulk", one)
    await finish(t)
    assert await t("getTransformationParameters", "a", ["Status", "AgentType", "mine", "GroupSize"]) == {
        "Status": "New",
        "AgentType": "Manual",
        "mine": [1],
        "GroupSize": 1,
    }
    assert await t("getAdditionalParameters", "b") == {}


async def test_only_start_stop_and_flush_leave_lines_in_the_log(t):
    lines = len(await t("getTransformationLogging", "a"))
    await started(t, "transformations", {}, "setStatus", {"status": "Idle"})
    await started(t, "transformations", {}, "complete", {})
    await finish(t)
    assert len(await t("getTransformationLogging", "a")) == lines
    await started(t, "transformations", {}, "stop", {})
    await finish(t)
    assert [line["Message"] for line in await t("getTransformationLogging", "a")][lines:] == [
        "Status updated to Stopped",
        "AgentType updated to Manual",
    ]


async def test_cleaning_cannot_be_undone(t):
    number = await started(t, "transformations", {"TransformationID": 2}, "clean", {})
    await finish(t)
    assert await statuses(t, "b") == []
    await t.refused("InvalidState", "undoBulk", number)
    assert await drift(t) == {}


async def test_the_rule_of_the_method_that_does_it_counts(t):
    t.service.rules = {**t.service.rules, "cleanTransformation": ("Nobodys",)}
    assert (await t("startBulk", "transformations", {}, "clean"))["Refused"] == {"Forbidden": 2}
    number = await started(t, "transformations", {}, "clean", {})
    await finish(t)
    assert (await t("getBulk", number))["Refused"] == {"Forbidden": 2}
    assert len(await statuses(t)) == 6


async def test_what_the_policy_hides_is_not_there(t):
    t.policy.allowed = {"TransformationID": [1]}
    assert (await t("startBulk", "files", {}, "resetErrors"))["Count"] == 6
    number = await started(t, "files", {}, "resetErrors", {})
    assert (await t("getBulk", number))["Total"] == 6


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_what_nobody_interferes_with_comes_back_whole(data):
    async with SqliteStorage(None) as storage:
        tm = Driver(storage)
        async with tm.service:
            tm.service.users = Registry()
            await tm.add("a", transType="Simulation")
            await tm("addFilesToTransformation", "a", LFNS)
            await tm("addTaskForTransformation", "a", LFNS[:3])
            await tm("addTaskForTransformation", "a", LFNS[3:5])
            words = st.sampled_from(["Unused", "Assigned", "Processed", "MaxReset", "Mine"])
            await tm("setFileStatus", "a", data.draw(st.dictionaries(st.sampled_from(LFNS), words)), True)

            async def state():
                return [
                    await statuses(tm),
                    await tm("getTransformationTaskStats", "a"),
                    await tm("getTransformationParameters", "a", ["Status", "AgentType", "GroupSize"]),
                    await tm("getAdditionalParameters", "a"),
                ]

            actions_ = st.sampled_from(
                [
                    ("files", "setStatus", {"status": "Unused"}),
                    ("files", "setStatus", {"status": "Processed", "force": True}),
                    ("files", "resetErrors", {}),
                    ("tasks", "setStatus", {"status": "Failed"}),
                    ("transformations", "start", {}),
                    ("transformations", "complete", {}),
                    ("transformations", "setParameter", {"name": "GroupSize", "value": 7}),
                    ("transformations", "setParameter", {"name": "own", "value": None}),
                ]
            )
            states, numbers = [await state()], []
            for what, action, arguments in data.draw(st.lists(actions_, max_size=4)):
                numbers.append(await started(tm, what, {}, action, arguments))
                await finish(tm)
                states.append(await state())
            for number in reversed(numbers):
                assert await state() == states.pop()
                await tm("undoBulk", number)
                await finish(tm)
            assert await state() == states.pop()
            assert await drift(tm) == {}
