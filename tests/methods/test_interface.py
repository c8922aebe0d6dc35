"""Names, defaults and order of the parameters are the interface: section 6 of the specification, copied."""

import re

import pytest
from marshmallow import missing

from jsonrpc_tm.methods import files, parameters, service, tasks, transformations

SIGNATURES = {
    "addTransformation": "transName, description, longDescription, transType, plugin, agentType, fileMask,"
    " transformationGroup='General', groupSize=1, inheritedFrom=0, body='', maxTasks=0, eventsPerTask=0, addFiles=True,"
    " inputMetaQuery=None, outputMetaQuery=None",
    "deleteTransformation": "transName, dryRun=False",
    "cleanTransformation": "transName, dryRun=False",
    "completeTransformation": "transName",
    "setTransformationParameter": "transName, paramName, paramValue, expected=absent",
    "deleteTransformationParameter": "transName, paramName",
    "getTransformation": "transName, extraParams=False",
    "getTransformations": "condDict=None, older=None, newer=None, timeStamp='CreationDate', orderAttribute=None,"
    " limit=None, extraParams=False, offset=None, columns=None, after=None",
    "getTransformationParameters": "transName, parameters",
    "getAdditionalParameters": "transName",
    "getTransformationWithStatus": "status",
    "getTransformationLogging": "transName",
    "getTransformationStatusCounters": "",
    "addFilesToTransformation": "transName, lfns",
    "getTransformationFiles": "condDict=None, older=None, newer=None, timeStamp='LastUpdate', orderAttribute=None,"
    " limit=None, offset=None, columns=None, after=None",
    "setFileStatusForTransformation": "transName, dictOfNewFilesStatus",
    "getTransformationStats": "transName",
    "getTransformationFilesCount": "transName, field, selection={}",
    "getFileSummary": "lfns",
    "addTaskForTransformation": "transName, lfns=[], se='Unknown'",
    "getTransformationTasks": "condDict=None, older=None, newer=None, timeStamp='CreationTime', orderAttribute=None,"
    " limit=None, inputVector=False, offset=None, after=None",
    "setTaskStatus": "transName, taskID, status",
    "setTaskStatusAndWmsID": "transName, taskID, status, taskWmsID",
    "deleteTasks": "transName, taskMin, taskMax",
    "extendTransformation": "transName, nTasks",
    "setFileStatus": "transName, statuses, force=False",
    "resetErrorCount": "transName, lfns",
    "startTransformation": "transName, expected=absent",
    "stopTransformation": "transName, expected=absent",
    "flushTransformation": "transName, expected=absent",
    "getTasksToSubmit": "transName, numTasks, site=''",
    "getTransformationTaskStats": "transName",
    "ping": "",
    "echo": "data",
    "whoami": "",
    "rpc.discover": "",
}
READING = {name for name in SIGNATURES if name.startswith("get") and name != "getTasksToSubmit"} | {
    "ping",
    "echo",
    "whoami",
    "rpc.discover",
}
METHODS = {
    method.name: method
    for module in (transformations, parameters, files, tasks, service)
    for method in module.register_methods()
}


def test_there_are_these_methods():
    assert METHODS.keys() == SIGNATURES.keys()


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    words = []
    for parameter, field in METHODS[name].params.items():
        default = field.load_default
        shown = default() if callable(default) else default
        words.append(parameter if default is missing else f"{parameter}={shown!r}")
        assert field.required == (default is missing)
    assert ", ".join(words) == SIGNATURES[name]


@pytest.mark.parametrize("name", SIGNATURES)
def test_changing_methods_say_so_and_need_the_right(name):
    method = METHODS[name]
    assert method.changes == (name not in READING)
    # addTransformation makes its own: may_create, and the right on the parent
    assert method.right == (name not in READING and name != "addTransformation")
    rules = {"ping": "all", "echo": "all", "rpc.discover": "all", "whoami": "authenticated"}
    assert method.rule == {**rules, "addTransformation": "default"}.get(name)


@pytest.mark.parametrize("name", SIGNATURES)
def test_documentation(name):
    method = METHODS[name]
    documented = set(re.findall(r":raises (\w+):", method.doc))
    assert documented == {error.__name__ for error in method.raises} - {"InvalidParams"} | documented & {
        "InvalidParams"
    }
    assert method.doc.partition("\n")[0].endswith(".")
    assert method.result
    if method.right:
        assert ":raises Forbidden: no right on it." in method.doc
    if "transName" in method.params and name != "addTransformation":
        assert ":raises NotFound: no such transformation" in method.doc
