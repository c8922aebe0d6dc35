"""A whole production through DIRAC's own, unpatched TransformationClient. Runs in an environment with DIRAC, not ours.

    python production.py URL CONFIG

Prints a JSON line ``{"done": [what was checked]}`` last; any failed check is an AssertionError.
"""

import json
import os
import sys

URL, CONFIG = sys.argv[1:3]
os.environ["DIRACSYSCONFIG"] = CONFIG

import DIRAC

DIRAC.initialize()
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise as value
from DIRAC.TransformationSystem.Client.Transformation import Transformation
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

done = []


def checked(name):
    done.append(name)


client = TransformationClient()
client.setServer(URL)
NAME = "interop"
NAMES = [f"/vo/interop/{n:03d}" for n in range(25)]

# creation through DIRAC's own object, which checks types and looks whether the name is free
made = Transformation()
made.setTransformationName(NAME)
made.setDescription("short")
made.setLongDescription("long")
made.setType("MCSimulation")
made.setBody("<body a='1'>\"quoted\" \\ é</body>")
result = made.addTransformation()
assert result["OK"], result
trans = value(result)
checked("Transformation.addTransformation")

found = value(client.getTransformation(trans, True))
assert found["TransformationName"] == NAME
assert found["Author"]
assert found["AuthorDN"].startswith("/")
assert found["CreationDate"].year >= 2024
assert found["Body"] == "<body a='1'>\"quoted\" \\ é</body>"
assert not client.getTransformation("nothing")["OK"]
assert client.getTransformation("nothing")["Message"] == "Transformation does not exist"
again = Transformation(NAME)
assert value(again.getStatus()) == "New"
checked("getTransformation, Transformation(name)")

for n in range(3):
    value(client.addTransformation(f"{NAME}-{n}", "d", "ld", "Processing", "Standard", "Manual", ""))
listed = value(client.getTransformations())
assert [row["TransformationID"] for row in listed] == [trans, trans + 1, trans + 2, trans + 3]
few = value(
    client.getTransformations(condDict={"Type": ["Processing"]}, columns=["TransformationID", "Author", "AuthorGroup"])
)
assert len(few) == 3
assert value(
    client.getTransformations(
        older=found["CreationDate"].replace(year=2100), newer=found["CreationDate"].replace(year=2000)
    )
)
checked("getTransformations: paging, conditions, columns, dates")

value(client.setTransformationParameter(trans, "Status", "Active"))
assert value(client.getTransformationParameters(trans, ["Status"])) == "Active"
assert value(client.getTransformationParameters(trans, ["Status", "Type"])) == {
    "Status": "Active",
    "Type": "MCSimulation",
}
value(client.setTransformationParameter(trans, "MyParameter", "17"))
assert value(client.getTransformationParameters(trans, "MyParameter")) == "17"
value(client.deleteTransformationParameter(trans, "MyParameter"))
assert "not defined" in client.getTransformationParameters(trans, "MyParameter")["Message"]
checked("parameters")

added = value(client.addFilesToTransformation(trans, NAMES))
assert set(added["Successful"].values()) == {"Added"}
assert set(value(client.addFilesToTransformation(trans, NAMES[:2]))["Successful"].values()) == {"Present"}
files = value(client.getTransformationFiles({"TransformationID": trans}))
assert [row["LFN"] for row in files] == NAMES
assert files[0]["LastUpdate"].year >= 2024
some = value(client.getTransformationFiles({"TransformationID": trans, "LFN": NAMES[3:6]}))
assert [row["LFN"] for row in some] == NAMES[3:6]
columns = value(client.getTransformationFiles({"TransformationID": trans, "LFN": NAMES[:1]}, columns=["LFN", "Status"]))
assert columns == [{"LFN": NAMES[0], "Status": "Unused"}]
assert not client.getTransformationFiles({"NoSuchColumn": 1})["OK"]
checked("getTransformationFiles: all, LFN, columns, refusals")

first = value(client.addTaskForTransformation(trans, NAMES[:10], "SE1"))
second = value(client.addTaskForTransformation(trans, NAMES[10:20]))
assert (first, second) == (1, 2)
assert not client.addTaskForTransformation(trans, NAMES[:1])["OK"]
tasks = value(client.getTransformationTasks({"TransformationID": trans}, inputVector=True))
assert tasks[0]["InputVector"] == ";".join(NAMES[:10])
assert int(tasks[0]["ExternalID"]) == 0
extended = value(client.extendTransformation(trans, 3))
assert extended == [3, 4, 5]
jobs = value(client.getTasksToSubmit(trans, 2))
assert sorted(jobs["JobDictionary"], key=int) == ["1", "2"]
assert jobs["JobDictionary"]["1"]["InputData"] == ";".join(NAMES[:10])
value(client.setTaskStatusAndWmsID(trans, 1, "Submitted", "4711"))
value(client.setTaskStatus(trans, [2, 3], "Done"))
stats = value(client.getTransformationTaskStats(trans))
assert stats == {"Submitted": 1, "Done": 2, "Created": 2, "TotalCreated": 5}
waiting = value(client.getTransformationTasks({"TransformationID": trans, "ExternalStatus": ["Submitted", "Done"]}))
assert [row["TaskID"] for row in waiting] == [1, 2, 3]
checked("tasks: add, extend, submit, status, statistics")

# DIRAC's client has the state machine of files; it reads the files and sends what changes
changed = value(client.setFileStatusForTransformation(trans, "Processed", NAMES[:5]))
assert set(changed.values()) == {"Processed"}
value(client.setFileStatusForTransformation(trans, {NAMES[5]: "Unused", NAMES[6]: "Problematic"}))
by_name = {row["LFN"]: row for row in value(client.getTransformationFiles({"TransformationID": trans}))}
assert by_name[NAMES[5]]["ErrorCount"] == 1
assert by_name[NAMES[6]]["Status"] == "Problematic"
client.setFileStatusForTransformation(trans, "Unused", NAMES[:1])  # Processed is final to DIRAC's client
[final] = value(client.getTransformationFiles({"TransformationID": trans, "LFN": NAMES[:1]}))
assert final["Status"] == "Processed"
counts = value(client.getTransformationStats(trans))
assert counts == {"Assigned": 13, "Processed": 5, "Unused": 6, "Problematic": 1, "Total": 25}, counts
assert value(client.getTransformationFilesCount(trans, "Status"))["Total"] == 25
summary = value(client.getFileSummary([NAMES[0]]))
assert summary["Successful"][NAMES[0]]
checked("file statuses through the client's state machine")

query = {"zenith": [20, 40], "particle": "gamma", "energy": {">": 1.5}}
assert client.getTransformationMetaQuery(trans, "Input").get("Errno") == 2
value(client.createTransformationMetaQuery(trans, query, "Input"))
assert value(client.getTransformationMetaQuery(trans, "Input")) == query
value(client.deleteTransformationMetaQuery(trans, "Input"))
checked("meta queries")

child = Transformation()
child.setTransformationName(f"{NAME}-child")
child.setDescription("d")
child.setLongDescription("ld")
child.setType("Processing")
child.setInheritedFrom(trans)
derived = value(child.addTransformation())
inherited = value(client.getTransformationFiles({"TransformationID": derived}))
assert {row["Status"] for row in inherited} == {
    "Assigned-inherited",
    "Processed-inherited",
    "Unused-inherited",
    "Problematic-inherited",
}
assert {row["TaskID"] for row in inherited} == {trans * 1000000 + 1, trans * 1000000 + 2, None}
assert value(client.getTransformationParameters(trans, "Status")) == "Completing"
moved = client.moveFilesToDerivedTransformation({"TransformationID": derived, "InheritedFrom": trans})
assert moved["OK"], moved
parent = {row["LFN"]: row["Status"] for row in value(client.getTransformationFiles({"TransformationID": trans}))}
assert parent[NAMES[24]] == "NotProcessed", parent[NAMES[24]]
checked("derivation and moving of files")

log = value(client.getTransformationLogging(trans))
assert log[0]["Message"] == f"Created transformation {trans}"
assert log[0]["Author"]
counters = value(client.getCounters("TransformationFiles", ["Status"], {"TransformationID": trans}))
assert sum(number for _, number in counters) == 25
assert value(client.getTransformationWithStatus("Completing")) == [trans]
assert value(client.exists([NAMES[0], "/no"]))["Successful"] == {NAMES[0]: True, "/no": False}
assert value(client.removeFile([NAMES[24], "/no"]))["Successful"]["/no"] == "File does not exist"
checked("log, counters, catalog side")

value(client.startTransformation(derived))
assert value(client.getTransformationParameters(derived, ["Status", "AgentType"])) == {
    "Status": "Active",
    "AgentType": "Automatic",
}
value(client.stopTransformation(derived))
value(client.completeTransformation(derived))
assert value(client.getTransformationParameters(derived, "Status")) == "Completed"
value(client.deleteTasks(trans, 4, 5))
value(client.cleanTransformation(trans))
assert value(client.getTransformationParameters(trans, "Status")) == "TransformationCleaned"
assert value(client.getTransformationFiles({"TransformationID": trans})) == []
value(client.deleteTransformation(trans))
assert not client.getTransformation(trans)["OK"]
checked("start, stop, complete, clean, delete")

print(json.dumps({"done": done}))
