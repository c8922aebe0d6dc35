"""LHCb files: the shipped plugin that replaces the state machine of files."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jsonrpc_tm.api import Identity, Service, StateMachine, errors, hookimpl
from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.state_machines import FILES
from jsonrpc_tm.core.statuses import FILE_STATES

MANAGER = Identity("admin", "managers", ("ProductionManagement",))
ON = {"storage.url": "sqlite://:memory:", "lhcb_files.enabled": True, "transformations.max_reset_count": 2}
LFNS = ["/a", "/b"]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with create_service(None, {}, ON) as service:
        await call(service, "addTransformation", ["t", "d", "l", "Processing", "Standard", "Manual", ""])
        await call(service, "addFilesToTransformation", ["t", LFNS])
        await call(service, "addTaskForTransformation", ["t", LFNS])
        yield service


async def call(service: Service, method: str, params: Any) -> Any:
    return await service.call(service.context(MANAGER), method, params)


async def test_files_go_the_way_of_the_list(service: Service) -> None:
    async def ask(lfn: str, *statuses: str) -> list[str | None]:
        return [(await call(service, "setFileStatus", ["t", {lfn: status}])).get(lfn) for status in statuses]

    went = await ask("/a", "Processed", "Unused", "Problematic", "Removed", "Unused", "Mine")
    assert went == ["Processed", None, None, "Removed", None, None]
    # the second error is one too many; from MaxReset there is a way back
    went = await ask("/b", "Unused", "Assigned", "Unused", "Problematic", "Unused", "Problematic", "Unused")
    assert went == ["Unused", "Assigned", "MaxReset", None, "Unused", "Problematic", None]
    assert await call(service, "setFileStatus", ["t", {"/b": "Unused"}, True]) == {"/b": "Unused"}


async def test_the_usual_states_are_known_to_it(service: Service) -> None:
    machine = service.machines["file"]
    states = (*FILE_STATES, "Removed")
    final = {old for old in FILE_STATES if not any(machine.allows(old, new) for new in states if new != old)}
    assert final == {"Problematic", "ProbInFC", "Processed-inherited", "Moved"}


async def test_nothing_without_its_section() -> None:
    async with create_service(None, {}, {"storage.url": "sqlite://:memory:"}) as service:
        assert service.machines["file"] is FILES


class Another:
    @hookimpl
    def register_state_machines(self) -> list[Any]:
        return [StateMachine("file", [])]


class OfJobs:
    @hookimpl
    def register_state_machines(self) -> list[Any]:
        return [StateMachine("job", [])]  # type: ignore[arg-type]


def test_two_machines_of_one_kind_stop_the_start() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"the state machine of files: .*lhcb_files"):
        create_service(None, {}, ON, plugins=[Another()])
    with pytest.raises(errors.ConfigurationError, match=r"OfJobs.* of 'job'"):
        create_service(None, {}, {"storage.url": "sqlite://:memory:"}, plugins=[OfJobs()])
