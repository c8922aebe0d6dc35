"""What every kind of caller may do, as the specification says it, written down a second time for ``test_table``."""

from dataclasses import dataclass
from typing import Any

MANAGE, SHARE, USE, CATALOG = "ProductionManagement", "ProductionSharing", "ProductionUser", "FileCatalogManagement"
GROUPS = {
    "visitors": [],
    "sharers": [SHARE],
    "users": [USE],
    "both": [SHARE, USE],
    "managers": [MANAGE],
    "catalogers": [CATALOG],
}


@dataclass(frozen=True)
class Caller:
    """A kind of caller.

    :param group: the group acted in; None for callers who do not count as authenticated.
    :param claims: the header X-TM-Group.
    :param refused: a claimed group that is not the caller's.
    """

    name: str
    group: str | None = None
    properties: tuple[str, ...] = ()
    claims: str | None = None
    refused: bool = False
    host: bool = False
    anonymous: bool = False

    def owns(self, author: str, group: str) -> bool:
        """Section 3 of the specification: the rights on a transformation."""
        return (
            MANAGE in self.properties
            or (SHARE in self.properties and group == self.group)
            or (USE in self.properties and author == self.name)
        )


CALLERS = [
    Caller("anonymous", anonymous=True),
    *(Caller(f"member of {group}", group, tuple(properties)) for group, properties in GROUPS.items()),
    # in two groups: the first counts, unless the header picks the other
    Caller("two groups", "visitors"),
    Caller("two groups picked", "sharers", (SHARE,), claims="sharers"),
    Caller("claims managers", refused=True, claims="managers"),
    Caller("suspended"),
    Caller("groupless"),
    Caller("unknown"),
    Caller("host", "hosts", host=True),
    Caller("managing host", "hosts", (MANAGE,), host=True),
    Caller("user host", "hosts", (USE,), host=True),
]
REGISTRY_GROUPS = {
    **{f"member of {group}": [group] for group in GROUPS},
    "two groups": ["visitors", "sharers"],
    "two groups picked": ["visitors", "sharers"],
    "claims managers": ["sharers"],
    "suspended": ["managers"],
    "groupless": [],
}
# author and group of the transformations that each caller meets
TARGETS = {
    "own": lambda c: (c.name, c.group or "sharers"),
    "own in another group": lambda c: (c.name, "elsewhere"),
    "group's": lambda c: ("somebody else", c.group or "sharers"),
    "other's": lambda c: ("somebody else", "elsewhere"),
}
LFN = "/vo/file/1"
NEW = {
    "transName": "new",
    "description": "d",
    "longDescription": "l",
    "transType": "Processing",
    "plugin": "p",
    "agentType": "Manual",
    "fileMask": "",
}
# section 6: the methods marked with a pencil, with parameters beside the transformation
RIGHT: dict[str, dict[str, Any]] = {
    "deleteTransformation": {},
    "cleanTransformation": {},
    "completeTransformation": {},
    "setTransformationParameter": {"paramName": "Status", "paramValue": "Active"},
    "deleteTransformationParameter": {"paramName": "Note"},
    "addFilesToTransformation": {"lfns": [LFN]},
    "setFileStatusForTransformation": {"dictOfNewFilesStatus": {"1": "Processed"}},
    "extendTransformation": {"nTasks": 1},
    "getTasksToSubmit": {"numTasks": 1},
    "addTaskForTransformation": {},
    "setTaskStatus": {"taskID": 1, "status": "Done"},
    "setTaskStatusAndWmsID": {"taskID": 1, "status": "Done", "taskWmsID": "7"},
    "deleteTasks": {"taskMin": 1, "taskMax": 2},
    "createTransformationMetaQuery": {"queryDict": {"a": 1}, "queryType": "Output"},
    "deleteTransformationMetaQuery": {"queryType": "Input"},
    # section 8
    "addTasks": {"tasks": [{}]},
    "updateTasks": {"updates": [{"TaskID": 1, "ExternalStatus": "Done"}]},
    "claimTasks": {"numTasks": 1},
    "renewLease": {"lease": 1},
    "releaseLease": {"lease": 1},
    "setFileStatus": {"statuses": {}},
    "resetErrorCount": {"lfns": []},
    "setAttributes": {"kind": "transformation", "attributes": {"a": 1}},
    "startTransformation": {},
    "stopTransformation": {},
    "flushTransformation": {},
}
# open to every authenticated caller
READ: dict[str, dict[str, Any]] = {
    "getTransformation": {},
    "getTransformationLogging": {},
    "getTransformationParameters": {"parameters": "Status"},
    "getAdditionalParameters": {},
    "getTransformationStats": {},
    "getTransformationFilesCount": {"field": "Status"},
    "getTransformationTaskStats": {},
    "getTransformationMetaQuery": {"queryType": "Input"},
    "getAttributes": {"kind": "transformation"},
    "explainTransformation": {},
    "getTransformationProgress": {},
}
PAGE = [{}, [], 0, 10]
WITHOUT_TARGET: dict[str, Any] = {
    "getTransformations": [],
    "getTransformationWithStatus": ["New"],
    "getTransformationStatusCounters": [],
    "getTransformationFiles": [],
    "getFileSummary": [[LFN]],
    "getTransformationTasks": [],
    "exists": [[LFN]],
    "catalog.find": [{}],
    "catalog.get": ["/vo"],
    "getTransformationSummary": [],
    "getTransformationSummaryWeb": PAGE,
    "getTransformationsSummaryWeb": PAGE,
    "getTransformationTasksSummaryWeb": PAGE,
    "getTransformationFilesSummaryWeb": PAGE,
    "getTabbedSummaryWeb": ["Transformations", {}, *PAGE],
    "getDistinctAttributeValues": ["Status", {}],
    "getTableDistinctAttributeValues": ["Transformations", ["Status"], {}],
    "getCounters": ["Transformations", ["Status"], None],
    "whoami": [],
    "previewMetaQuery": [{"a": 1}],
    "explainMatch": [LFN],
    "startBulk": ["files", {}, "resetErrors"],
    "listBulk": [{}],
}
# these offer what the catalog says
ANNOUNCEMENTS: dict[str, Any] = {
    "addFile": [[LFN]],
    "addDirectory": ["/vo"],
}
FOR_CATALOGS: dict[str, Any] = {
    "removeFile": [[LFN]],
    "setMetadata": ["/vo", {}],
    "catalog.addFields": [{"f": "int"}],
    "catalog.addFiles": [{LFN: {}}],
    "catalog.setMetadata": ["/vo", {}],
    "catalog.remove": [["/vo"]],
}
OPERATIONS: dict[str, Any] = {"getBulk": [1], "cancelBulk": [1], "undoBulk": [1]}
FOR_ALL: dict[str, Any] = {"ping": [], "echo": ["x"], "rpc.discover": []}


def calls_of(caller: Caller) -> list[tuple[str, Any, str]]:
    """Return the calls of a caller: method, parameters and the error expected (``ok``: none of the caller's making)."""
    if caller.refused:
        refused = "Forbidden"
    elif caller.group is None:
        refused = "Unauthenticated"
    else:
        refused = ""
    creates = not set(caller.properties).isdisjoint((MANAGE, SHARE, USE))
    manages = MANAGE in caller.properties
    targets = {
        **{f"{name} {caller.name}": caller.owns(*owner(caller)) for name, owner in TARGETS.items()},
        "missing": None,
        4711: None,
    }
    calls: list[tuple[str, Any, str]] = []
    for target, owns in targets.items():
        if owns is None:
            changed, read = "NotFound" if manages else "Forbidden", "NotFound"
        else:
            changed, read = "ok" if owns else "Forbidden", "ok"
        calls += [(method, {"transName": target, **more}, refused or changed) for method, more in RIGHT.items()]
        calls += [(method, {"transName": target, **more}, refused or read) for method, more in READ.items()]
        derived = changed if creates else "Forbidden"
        calls.append(("addTransformation", NEW | {"inheritedFrom": target}, refused or derived))
    calls.append(("addTransformation", NEW, refused or ("ok" if creates else "Forbidden")))
    calls += [(method, params, refused or "ok") for method, params in WITHOUT_TARGET.items()]
    catalog = "ok" if {MANAGE, CATALOG} & set(caller.properties) else "Forbidden"
    calls += [(method, params, refused or catalog) for method, params in FOR_CATALOGS.items()]
    announces = "ok" if creates else catalog
    calls += [(method, params, refused or announces) for method, params in ANNOUNCEMENTS.items()]
    # operations are their author's
    theirs = "ok" if manages else "NotFound"
    calls += [(method, params, refused or theirs) for method, params in OPERATIONS.items()]
    calls += [(method, params, "Forbidden" if caller.refused else "ok") for method, params in FOR_ALL.items()]
    return calls
