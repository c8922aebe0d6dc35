"""Rights by target status (section 8.8): no way to a status around ``authorization.statuses``."""

import pytest

from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.settings import load
from jsonrpc_tm.storage.sqlite import SqliteStorage
from tests.methods.driver import NEW, Driver

STATUSES = {"Cleaning": ["ProductionManagement", "Cleaner"], "Completing": ["Cleaner"], "Completed": ["Cleaner"]}


@pytest.fixture
async def guarded():
    """Alice's transformation, with a file; to her some statuses are closed."""
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, settings={"authorization.statuses": STATUSES})
        async with tm.service:
            await tm.add(who="alice")
            await tm("addFilesToTransformation", 1, ["/a"], who="alice")
            yield tm


async def refused(tm, *call, needs, who="alice"):
    before = await tm.dump()
    data = await tm.refused("Forbidden", *call, who=who)
    assert data["needs"] == needs
    assert await tm.dump() == before


async def test_c4_a_status_needs_its_property_besides_the_right(guarded):
    set_status = ("setTransformationParameter", 1, "Status", "Cleaning")
    await refused(guarded, *set_status, needs=STATUSES["Cleaning"])
    # the right comes first, and before what the status is
    await refused(
        guarded, *set_status, who="dave", needs=["ProductionManagement", "ProductionSharing", "ProductionUser"]
    )
    await refused(guarded, *set_status, "Active", needs=STATUSES["Cleaning"])
    await guarded("setTransformationParameter", 1, "Status", "Active", who="alice")
    await guarded(*set_status)
    # the same word again counts
    await refused(guarded, *set_status, needs=STATUSES["Cleaning"])
    await guarded(*set_status)
    # cleanTransformation sets no status: its own rule is for that
    await guarded("cleanTransformation", 1, who="alice")


async def test_c4_completing_and_completed_are_no_way_around(guarded):
    await refused(guarded, "completeTransformation", 1, who="manager", needs=["Cleaner"])
    await refused(guarded, "completeTransformation", 1, needs=["Cleaner"])
    derive = ("addTransformation", "child", *NEW, "General", 1, "t")
    await refused(guarded, *derive, needs=["Cleaner"])
    # before the name, which is a matter of state
    await refused(guarded, "addTransformation", "t", *NEW, "General", 1, "t", needs=["Cleaner"])


async def test_c4_a_new_transformation_needs_no_right_on_new(sqlite_tm):
    async with SqliteStorage(None) as storage:
        tm = Driver(storage, settings={"authorization.statuses": {"New": ["ProductionManagement"]}})
        async with tm.service:
            await tm.add(who="alice")
            await refused(tm, "setTransformationParameter", 1, "Status", "New", needs=["ProductionManagement"])


@pytest.mark.parametrize("statuses", [{"Cleaning": []}, {"Cleaning": "authenticated"}, {"Cleaning": [""]}, []])
def test_c4_a_rule_that_is_none_stops_the_start(statuses):
    with pytest.raises(ConfigurationError, match=r"authorization\.statuses"):
        load(None, {}, {"authorization.statuses": statuses}, ())
