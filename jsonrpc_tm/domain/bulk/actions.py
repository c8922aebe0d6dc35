"""What a bulk operation does to its objects, one transformation at a time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import Forbidden, InvalidState, TMError
from ...core.model import MUTABLE_PARAMETERS
from .. import parameters
from .. import transformations as whole
from ..transitions import file_machine, tasks, transformations
from ..work import Held, Work
from .objects import State, What
from .operations import BulkOperation

ActionArguments = Mapping[str, Any]
OBJECTS_AT_ONCE = 1000
Refusals = Mapping[int, str]
"""The type of the error, by the number of the object (a transformation's own id, FileID, TaskID)."""
Apply = Callable[[Work, Held, Sequence[int], ActionArguments], Awaitable[Refusals]]
Foresee = Callable[[Work, ActionArguments, str], str | None]


@dataclass(frozen=True, slots=True)
class Action:
    """One action on one kind of objects.

    :param method: the method that does it to one object: rules and the policy are asked about that.
    :param apply: does it to objects of one transformation; returns those that it must leave alone.
    :param foresee: given the status of an object, the type of the error that it would meet; None for none.
    :param objects: how many are changed in one transaction at most.
    :param logs: whether it leaves lines in TransformationLog, as the method does.
    """

    method: str
    apply: Apply
    foresee: Foresee
    objects: int = OBJECTS_AT_ONCE
    logs: bool = False


async def _files_status(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    wanted = dict.fromkeys(ids, str(arguments["status"]))
    moved = await file_machine.move_files(work, trans, wanted, force=arguments["force"])
    return dict.fromkeys(moved.refused, InvalidState.type)


def _file_foreseen(work: Work, arguments: ActionArguments, status: str) -> str | None:
    allowed = arguments["force"] or work.parts.machines["file"].allows(status, arguments["status"])
    return None if allowed else InvalidState.type


async def _reset_errors(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    await file_machine.reset_errors(work, trans, ids)
    return {}


async def _tasks_status(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    refused = await tasks.move_all(work, trans, ids, arguments["status"], force=arguments["force"])
    return dict.fromkeys(refused, InvalidState.type)


def _task_foreseen(work: Work, arguments: ActionArguments, status: str) -> str | None:
    allowed = arguments["force"] or work.parts.machines["task"].allows(status, arguments["status"])
    return None if allowed else InvalidState.type


async def _transformation_status(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    machine = work.parts.machines["transformation"]
    if not arguments["force"] and not machine.allows(trans.status, arguments["status"]):
        raise InvalidState(f"{trans.status} may not become {arguments['status']}")
    await transformations.move(work, trans, arguments["status"])
    return {}


def _status_foreseen(work: Work, arguments: ActionArguments, status: str) -> str | None:
    to = arguments["status"]
    if not transformations.may_set(work, to):
        return Forbidden.type
    allowed = arguments["force"] or work.parts.machines["transformation"].allows(status, to)
    return None if allowed else InvalidState.type


def _step(word: str) -> tuple[Apply, Foresee]:
    to = transformations.STEPS[word][0]

    async def apply(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
        await transformations.step(work, trans, word)
        return {}

    def foresee(work: Work, arguments: ActionArguments, status: str) -> str | None:
        if not transformations.may_set(work, to):
            return Forbidden.type
        return InvalidState.type if status in transformations.ENDED else None

    return apply, foresee


async def _complete(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    await transformations.move(work, trans, "Completed", strict=True)
    return {}


async def _clean(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    await whole.clean(work, trans)
    return {}


async def _set_parameter(work: Work, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    name, value = arguments["name"], arguments["value"]
    if name == "Status":
        await transformations.move(work, trans, value, strict=True)
    elif name in MUTABLE_PARAMETERS:
        await parameters.set_core(work, trans, name, value, value)
    else:
        await parameters.set_additional(work, trans, name, value)
    return {}


def _parameter_foreseen(work: Work, arguments: ActionArguments, status: str) -> str | None:
    return _permissive_foreseen(work, arguments["value"], status) if arguments["name"] == "Status" else None


def _permissive_foreseen(work: Work, to: str, status: str) -> str | None:
    """Foresee what DIRAC's methods meet: the state machine only where a setting says so."""
    strict: bool = work.parts.settings["transformations.strict_statuses"]
    return _status_foreseen(work, {"status": to, "force": not strict}, status)


def _free(work: Work, arguments: ActionArguments, status: str) -> None:
    return None


async def _put_parameter_back(work: Work, trans: Held, name: str, value: Sequence[Any]) -> None:
    if not value:
        await parameters.delete_additional(work, trans, name)
    else:
        await _set_parameter(work, trans, [trans.id], {"name": name, "value": value[0]})


ACTIONS: Mapping[What, Mapping[str, Action]] = {
    "transformations": {
        "setStatus": Action("setTransformationParameter", _transformation_status, _status_foreseen),
        "start": Action("startTransformation", *_step("start"), logs=True),
        "stop": Action("stopTransformation", *_step("stop"), logs=True),
        "flush": Action("flushTransformation", *_step("flush"), logs=True),
        "complete": Action(
            "completeTransformation",
            _complete,
            lambda work, _, status: _permissive_foreseen(work, "Completed", status),
        ),
        # each may have a million files
        "clean": Action("cleanTransformation", _clean, _free, 1),
        "setParameter": Action("setTransformationParameter", _set_parameter, _parameter_foreseen),
    },
    "files": {
        "setStatus": Action("setFileStatus", _files_status, _file_foreseen),
        "resetErrors": Action("resetErrorCount", _reset_errors, _free),
    },
    "tasks": {"setStatus": Action("setTaskStatus", _tasks_status, _task_foreseen)},
}
"""By what they change and by name."""


async def apply(work: Work, action: Action, trans: Held, ids: Sequence[int], arguments: ActionArguments) -> Refusals:
    """Do an action to objects of one transformation; return those that were left alone."""
    work.logs = action.logs
    try:
        return await action.apply(work, trans, ids, arguments)
    except TMError as error:
        # raised before anything of this transformation was written
        return dict.fromkeys(ids, error.type)


async def put_back(work: Work, operation: BulkOperation, trans: Held, states: Mapping[int, State]) -> Refusals:
    """Give objects of one transformation back what they had, whatever the state machine says."""
    work.logs = False
    try:
        if operation.parameter is not None:
            (value,) = states.values()
            await _put_parameter_back(work, trans, operation.parameter, value)
        elif operation.what == "files":
            await file_machine.put_back(work, trans, states)
        elif operation.what == "tasks":
            await tasks.put_back(work, trans, {number: status for number, (status,) in states.items()})
        else:
            ((status, agent),) = states.values()
            await transformations.move(work, trans, status, agent=agent)
    except TMError as error:
        return dict.fromkeys(states, error.type)
    return {}
