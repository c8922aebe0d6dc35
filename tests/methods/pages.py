"""Transformations with files and tasks, and what a summary of given rows must look like."""

from collections import Counter

from hypothesis import HealthCheck, settings

from jsonrpc_tm.core.model import CORE_PARAMETERS, FILE_COLUMNS, TASK_COLUMNS
from jsonrpc_tm.core.statuses import FILE_STATES, TASK_STATES

DAY = 86_400
TABLES = {
    "Transformations": ("getTransformationsSummaryWeb", CORE_PARAMETERS, "CreationDate", "Status"),
    "TransformationFiles": ("getTransformationFilesSummaryWeb", FILE_COLUMNS, "LastUpdate", "Status"),
    "TransformationTasks": ("getTransformationTasksSummaryWeb", TASK_COLUMNS, "CreationTime", "ExternalStatus"),
}
SELECTORS = {
    "Transformations": ("TransformationID", "AgentType", "Type", "TransformationGroup", "Plugin"),
    "TransformationFiles": ("TransformationID", "Status", "UsedSE", "TargetSE"),
    "TransformationTasks": ("TransformationID", "ExternalStatus", "TargetSE"),
}
WEB = "getTransformationSummaryWeb"
JOBS = ("TotalCreated", "Created", *TASK_STATES)
FILES = ("PercentProcessed", "Total", *FILE_STATES)
RELAXED = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


async def fill(tm):
    """Five transformations over five days, four with files, three with tasks."""
    for number, (kind, size) in enumerate(
        (("Processing", 1), ("Simulation", 2.5), ("Removal", 0.1), ("Processing", 0), ("mcsimulation", 3)), 1
    ):
        await tm.add(f"t{number}", transType=kind, groupSize=size, plugin=f"P{number % 2}", transformationGroup="G")
        await tm("addFilesToTransformation", number, [f"/f{n}" for n in range(number * 2)])
        if number % 2:
            lfns = [f"/f{n}" for n in range(number)]
            await tm("addTaskForTransformation", number, lfns[:2], f"SE{number}")
            await tm("addTaskForTransformation", number, lfns[2:], "SE9")
        tm.later(DAY)
    await tm(
        "setFileStatusForTransformation", 3, {"1": "Processed", "2": "Unused-inherited", "3": "Weird", "4": "Moved"}
    )
    await tm("setFileStatusForTransformation", 4, {"1": "Processed", "2": "MissingInFC", "3": ["Problematic", True]})
    await tm("setTaskStatus", 3, [1], "Done")
    await tm("setTaskStatus", 5, [1, 2], "WeirdStatus")
    await tm("setTransformationParameter", 2, "Status", "Active")
    await tm("setTransformationParameter", 5, "LongDescription", "\u03b3\n\"'\\")
    return tm


async def everything(tm, table):
    """Return all rows of a table as answers show them, in the order of the primary key."""
    method = {"Transformations": "getTransformations"}.get(table, f"get{table}")
    return await tm(method, {})


def shown(value):
    """Return a value of an answer as a record shows it."""
    if isinstance(value, str) and value[4:5] == "-" and value.endswith("Z"):
        return value.replace("T", " ").rstrip("Z")
    return value if type(value) is int else str(value)


def page(rows, table, total=None):
    """Return the summary of a page of *rows* without Selections."""
    _, names, _, status = TABLES[table]
    return {
        "TotalRecords": len(rows) if total is None else total,
        "ParameterNames": list(names),
        "Records": [[shown(row[name]) for name in names] for row in rows],
        "Extras": dict(Counter(row[status] for row in rows)),
    }


def choices(rows, table, *more):
    """Return the Selections of *rows*."""
    return {
        name: sorted({row[name] for row in rows}, key=lambda value: (value is not None, value))
        for name in (*SELECTORS[table], *more)
    }
