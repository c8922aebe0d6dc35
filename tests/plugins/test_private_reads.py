"""Private reads: no reading method tells a member of another group anything."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jsonrpc_tm.api import Identity, Service
from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import Forbidden, NotFound

OWNER = Identity("alice", "red", ("ProductionSharing",))
SAME = Identity("bob", "red", ("ProductionUser",))
STRANGER = Identity("erin", "blue", ("ProductionSharing", "ProductionUser"))
MANAGER = Identity("admin", "managers", ("ProductionManagement",))
SECRET = "rubies"
LFN = f"/vo/{SECRET}/1.dat"

# every method that reads transformations, called so that it finds the secret one when it may
READS: dict[str, Any] = {
    "getTransformation": [1, True],
    "getTransformations": {"extraParams": True},
    "getTransformationParameters": [1, ["Description"]],
    "getAdditionalParameters": [1],
    "getTransformationWithStatus": ["New"],
    "getTransformationLogging": [1],
    "getAttributes": [1, "transformation"],
    "explainTransformation": [1],
    "getTransformationProgress": [1],
    "getTransformationStatusCounters": [],
    "getTransformationFiles": [],
    "getTransformationStats": [1],
    "getTransformationFilesCount": [1, "Status"],
    "getFileSummary": [[LFN]],
    "getTransformationTasks": {"inputVector": True},
    "getTransformationTaskStats": [1],
    "getTransformationMetaQuery": [1, "Input"],
    "getTransformationSummary": [],
    "getTransformationSummaryWeb": [{}, [], 0, 50],
    "getTransformationsSummaryWeb": [{}, [], 0, 50],
    "getTransformationTasksSummaryWeb": [{}, [], 0, 50],
    "getTransformationFilesSummaryWeb": [{}, [], 0, 50],
    "getTabbedSummaryWeb": [
        "Transformations",
        {table: {} for table in ("TransformationFiles", "TransformationTasks")},
        {},
        [],
        0,
        50,
    ],
    "getDistinctAttributeValues": ["TransformationName", {}],
    "getTableDistinctAttributeValues": ["TransformationFiles", ["UsedSE"], {}],
    "exists": [[LFN]],
    "getCounters": ["TransformationFiles", ["UsedSE"], {}],
}
# reading methods that say nothing about transformations, but for explainMatch, which has tests of its own
OTHERS = {"getBulk", "listBulk", "previewMetaQuery", "explainMatch", "ping", "echo", "whoami", "rpc.discover"}
COUNTED = ("Transformations", "TransformationFiles", "TransformationTasks", "TransformationLog", "AdditionalParameters")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    options = {"storage.url": "sqlite://:memory:", "private_reads.enabled": True}
    async with create_service(None, {}, options) as service:
        add = [SECRET, SECRET, SECRET, "Processing", "Standard", "Manual", ""]
        assert await call(service, "addTransformation", add, OWNER) == 1
        await call(service, "addFilesToTransformation", [1, [LFN]], OWNER)
        await call(service, "addTaskForTransformation", [1, [LFN], SECRET], OWNER)
        await call(service, "setTransformationParameter", [1, "Note", SECRET], OWNER)
        await call(service, "createTransformationMetaQuery", [1, {"a": SECRET}, "Input"], OWNER)
        yield service


async def call(service: Service, method: str, params: Any, identity: Identity) -> Any:
    return await service.call(service.context(identity), method, params)


async def _read(service: Service, method: str, params: Any, identity: Identity) -> Any:
    try:
        return await call(service, method, params, identity)
    except NotFound as error:
        return error.type


def test_every_reading_method_is_here(service: Service) -> None:
    reading = {method.name for method in service.registry if not method.changes and "." not in method.name}
    catalog = {
        name for name in reading if service.registry.origins[name].startswith("jsonrpc_tm.methods.catalog_admin")
    }
    assert set(READS) | OTHERS - {"rpc.discover"} == reading - catalog


@pytest.mark.parametrize("method", READS)
async def test_reads_are_for_the_group(service: Service, method: str) -> None:
    stranger, same, manager = [await _read(service, method, READS[method], who) for who in (STRANGER, SAME, MANAGER)]
    assert same == manager
    assert stranger != same
    told = json.dumps(stranger).replace(json.dumps(LFN) if method in ("exists", "getFileSummary") else "\0", "")
    assert SECRET not in told


@pytest.mark.parametrize("table", COUNTED)
async def test_counters_of_every_table(service: Service, table: str) -> None:
    assert await call(service, "getCounters", [table, ["TransformationID"], None], STRANGER) == []
    assert await call(service, "getCounters", [table, ["TransformationID"], None], SAME) != []


async def test_files_table_counts_only_files_of_readable_transformations(service: Service) -> None:
    assert await call(service, "getCounters", ["DataFiles", ["LFN"], None], STRANGER) == []
    assert await call(service, "getCounters", ["DataFiles", ["LFN"], None], SAME) == [[{"LFN": LFN}, 1]]


async def test_changes_do_not_tell_either(service: Service) -> None:
    for trans in (1, SECRET, 99, "nothing"):
        with pytest.raises(Forbidden) as refused:
            await call(service, "setTransformationParameter", [trans, "Status", "Active"], STRANGER)
        assert (
            refused.value.message == f"You may not call setTransformationParameter on {trans!r}, or it does not exist"
        )
        parent = ["t", "d", "l", "Processing", "Standard", "Manual", "", "General", 1, trans]
        with pytest.raises(Forbidden):
            await call(service, "addTransformation", parent, STRANGER)


async def test_authors_in_another_group(service: Service) -> None:
    elsewhere = Identity("alice", "blue", ("ProductionUser",))
    with pytest.raises(Forbidden):
        await call(service, "completeTransformation", [1], elsewhere)
    await call(service, "completeTransformation", [1], Identity("alice", "red", ("ProductionUser",)))


async def test_nothing_without_its_section() -> None:
    async with create_service(None, {}, {"storage.url": "sqlite://:memory:"}) as service:
        assert service.policy.name == "default"
