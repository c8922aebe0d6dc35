"""The DIRAC wire over real TLS sockets: the table of statuses, the bytes, the four families of clients."""

import asyncio
import gzip
import json
from urllib.parse import unquote_plus

import pytest

from jsonrpc_tm.api import MANAGEMENT, Identity

from .conftest import PATH, Dirac, serving

ADD = ["t", "d", "ld", "MCSimulation", "Standard", "Manual", "", "General", 1, 0, "a body", 0, 0, True, None, None]
UNAUTHORIZED = "<html><title>401: Unauthorized</title><body>401: Unauthorized</body></html>"
ERROR = "<html><title>500: Internal Server Error</title><body>500: Internal Server Error</body></html>"


@pytest.fixture
async def filled(dirac, admin):
    await dirac.call(admin, "addTransformation", *ADD)
    await dirac.call(admin, "addFilesToTransformation", 1, ["/w/1", "/w/2"])
    return dirac


async def test_the_recorded_conversation(dirac, admin):
    await dirac.call(admin, "addTransformation", *ADD)
    await dirac.call(admin, "addTransformation", "u", *ADD[1:])
    recorded = (
        "method=addFilesToTransformation&args=%5B2%2C+%5B%22%2Fw%2F1%22%2C+%22%2Fw%2F2%22%5D%5D"
        "&clientVO=peervo&clientSetup=Peer"
    )
    assert len(recorded) == 119
    reply = await dirac.post(admin, recorded)
    assert reply.text == '{"OK": true, "Value": {"Successful": {"/w/1": "Added", "/w/2": "Added"}, "Failed": {}}}'
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Content-Length"] == "87"
    assert reply.headers["Vary"] == "Accept-Encoding"
    status = {"1": ["Processed", False]}
    assert (await dirac.call(admin, "setFileStatusForTransformation", 2, status)).value is None
    reply = await dirac.call(admin, "getTransformation", 99)
    assert reply.text == '{"OK": false, "Errno": 0, "Message": "Transformation does not exist"}'


class TestStatuses:
    @pytest.mark.parametrize(
        "method",
        [
            *("noSuch", "export_echo", "checkPermissions", "rpc.discover", "catalog.find", "__init__", "addTasks"),
            *("startBulk", "getBulk", "undoBulk", "startTransformation", "explainTransformation", "getAttributes"),
        ],
    )
    async def test_501_also_without_credentials_to_hide(self, dirac, admin, method):
        reply = await dirac.call(admin, method)
        assert reply.status == 501
        assert reply.text == "<html><title>501: Not Implemented</title><body>501: Not Implemented</body></html>"
        assert (await dirac.call(None, method)).status == 501

    async def test_401(self, dirac, credential):
        for reply in (
            await dirac.call(None, "getTransformations"),
            await dirac.call(None, "ping"),
            await dirac.call(credential("stranger"), "getTransformations"),
            await dirac.call(credential("nogroup"), "getTransformations"),
            await dirac.call(credential("dave", "dirac_prod"), "getTransformations"),
            await dirac.call(credential("dave"), "getTransformations", extraCredentials='"dirac_prod"'),
            await dirac.call(credential("adminuser"), "getTransformations", extraCredentials="dirac_prod"),
            await dirac.call(credential("agent"), "getTransformations"),
            await dirac.call(
                credential("agent"), "getTransformations", extraCredentials='["/O=Peer/CN=dave", "prod_user"]'
            ),
            await dirac.call(credential("dave"), "removeFile", ["/x"]),
            await dirac.post(None, {"method": "getTransformations"}, Authorization="Bearer x.y.z"),
        ):
            assert (reply.status, reply.text) == (401, UNAUTHORIZED)
            assert len(reply.text) == 75

    async def test_400(self, dirac, admin):
        for reply in (
            await dirac.post(admin, {}),
            await dirac.post(admin, ""),
            await dirac.post(admin, {"args": "[]"}),
            await dirac.post(admin, b'{"method": "ping"}', Content_Type="application/json"),
            await dirac.post(admin, b"method=ping", Content_Type=""),
        ):
            assert reply.status == 400
            assert "400: Bad Request" in reply.text

    @pytest.mark.parametrize("verb", ["GET", "PUT", "HEAD", "OPTIONS", "DELETE"])
    async def test_405(self, dirac, admin, verb):
        assert (await dirac.post(admin, {"method": "ping"}, verb=verb)).status == 405

    async def test_404(self, dirac, admin):
        assert (await dirac.post(admin, {"method": "ping"}, path=PATH + "/")).status == 404
        assert (await dirac.post(admin, {"method": "ping"}, path="/Other/Service")).status == 404

    @pytest.mark.parametrize(
        "args",
        [
            "",
            "{",
            "5",
            '{"data": 5}',
            '"ab"',
            "[1, 2, 3]",
            "[]",
            '[{"__dCls": "X", "__dMod": "os"}]',
            "[" * 2000,
            "[" * 100 + "]" * 100,
            "[99999999999999999999]",
            "[NaN]",
        ],
    )
    async def test_500_for_arguments_that_are_none_and_the_server_goes_on(self, dirac, admin, args):
        reply = await dirac.post(admin, {"method": "getTransformation", "args": args or "null"})
        assert (reply.status, reply.text) == (500, ERROR)
        assert len(reply.text) == 93
        assert (await dirac.call(admin, "echo", "still there")).value == "still there"

    async def test_the_order_of_the_checks(self, dirac, credential):
        assert (await dirac.post(None, {"method": "noSuch", "args": "{"})).status == 501
        assert (await dirac.post(None, {"method": "getTransformation", "args": "{"})).status == 401


class TestCallers:
    async def test_proxy_certificate_host_and_delegation(self, dirac, credential):
        async def who(cert, **fields):
            value = (await dirac.call(cert, "whoami", **fields)).value
            return value["username"], value["group"], value["properties"], value["isProxy"]

        admin = ("adminuser", "dirac_prod", ["ProductionManagement", "NormalUser"])
        assert await who(credential("adminuser", "dirac_prod")) == (*admin, True)
        plain = credential("adminuser")
        assert await who(plain) == (*admin, False)
        assert await who(plain, extraCredentials='"prod_user"') == ("adminuser", "prod_user", ["ProductionUser"], False)
        # a group claimed beside a proxy is ignored
        proxy = credential("adminuser", "prod_user")
        assert (await who(proxy, extraCredentials='"dirac_prod"'))[1] == "prod_user"
        trusted = credential("trusted")
        assert await who(trusted, extraCredentials='"hosts"') == (
            "trusted",
            "hosts",
            ["TrustedHost", "ProductionManagement"],
            False,
        )
        assert (await who(trusted, extraCredentials='["/O=Peer/CN=dave", "prod_user"]'))[:2] == ("dave", "prod_user")

    async def test_a_header_claims_no_group(self, dirac, credential):
        reply = await dirac.post(credential("dave"), {"method": "whoami"}, X_TM_Group="dirac_prod")
        assert reply.value["group"] == "prod_user"

    async def test_rights_are_those_of_the_service(self, filled, credential):
        reply = await filled.call(credential("dave"), "deleteTransformation", "t")
        assert (reply.json["OK"], reply.json["Errno"]) == (False, 13)
        assert (await filled.call(credential("dave"), "getTransformation", "t")).value["TransformationName"] == "t"


class TestAnswers:
    async def test_dates_authors_and_records(self, filled, admin):
        row = (await filled.call(admin, "getTransformation", "1", False)).value
        assert set(row["CreationDate"]) == {"__dCls", "obj"}
        assert row["Author"] == "adminuser"
        assert row["AuthorDN"] == "/O=Peer/CN=adminuser"
        listed = (
            await filled.call(admin, "getTransformations", {}, None, None, "CreationDate", None, 100, False, 0, None)
        ).json
        assert listed["Value"] == [row]
        assert listed["ParameterNames"][:2] == ["TransformationID", "TransformationName"]
        assert listed["Records"][0][:3] == [1, "t", "d"]
        assert "1.0" in listed["Records"][0]
        columns = ["TransformationID", "AuthorDN", "AuthorGroup"]
        [few] = (
            await filled.call(admin, "getTransformations", {}, None, None, "CreationDate", None, 100, False, 0, columns)
        ).value
        assert few["AuthorDN"] == "/O=Peer/CN=adminuser"
        handed_out = (await filled.call(admin, "getTasksToSubmit", 1, 1)).value
        assert handed_out["AuthorDN"] == "/O=Peer/CN=adminuser"
        assert list(handed_out)[-1] == list(row)[-1] == listed["ParameterNames"][-1] == "AuthorDN"
        log = (await filled.call(admin, "getTransformationLogging", 1)).value
        assert log[0]["AuthorDN"] == "/O=Peer/CN=adminuser"
        assert log[0]["MessageDate"]["__dCls"] == "dt"
        assert (await filled.call(admin, "getTransformations", {"AuthorDN": "/O=Peer/CN=adminuser"})).value
        assert not (await filled.call(admin, "getTransformations", {"AuthorDN": "/O=Peer/CN=dave"})).value

    async def test_the_dn_is_the_rows_own_else_the_registrys_else_there_is_a_name(self, filled, admin, credential):
        await filled.call(credential("dave"), "addTransformation", "u", *ADD[1:])
        await filled.call(admin, "setTransformationParameter", 2, "Note", "x")
        for name in ("dave", "by_token"):
            context = filled.service.context(Identity(name, "dirac_prod", (MANAGEMENT,), subject="x"))
            await filled.service.call(context, "addTransformation", [f"of {name}", *ADD[1:]])
        await filled.service.call(context, "setTransformationParameter", [2, "Note", "y"])
        rows = (await filled.call(admin, "getTransformations", {})).value
        dns = ["/O=Peer/CN=adminuser", "/O=Peer/CN=dave", "/O=Peer/CN=dave", "by_token"]
        assert [row["AuthorDN"] for row in rows] == dns
        assert (await filled.call(admin, "getTransformation", 4)).value["AuthorDN"] == "by_token"
        only = (
            await filled.call(admin, "getTransformations", {}, None, None, "CreationDate", None, 0, False, 0, ["Type"])
        ).value
        assert only == [{"Type": "MCSimulation"}] * 4
        log = (await filled.call(admin, "getTransformationLogging", 2)).value
        assert [line["AuthorDN"] for line in log] == ["/O=Peer/CN=dave", "/O=Peer/CN=adminuser", "by_token"]

    async def test_records_can_be_left_out(self, tmp_path, dirac, credential):
        async with serving(tmp_path / "tls", **{"dirac_https.records": False}) as (url, *_):
            dirac.base = url.removesuffix("/rpc")
            assert set((await dirac.call(credential("dave"), "getTransformations")).json) == {"OK", "Value"}

    async def test_the_four_families_of_clients(self, filled, admin):
        cond = {"TransformationID": "1"}
        name = "getTransformationFiles"
        a = (await filled.call(admin, name, cond, None, None, "LastUpdate", None, 10000, 0, clientSetup="Peer")).value
        assert [row["LFN"] for row in a] == ["/w/1", "/w/2"]
        b = (
            await filled.call(admin, name, cond, None, None, "LastUpdate", None, 0, None, None, clientSetup="Peer")
        ).value
        assert b == a
        # limit and offset change places in client B: 2 is the limit, 1 the offset
        b = (await filled.call(admin, name, cond, None, None, "LastUpdate", None, 2, 1, None, clientSetup="Peer")).value
        assert [row["LFN"] for row in b] == ["/w/2"]
        c = (await filled.call(admin, f"{name}AsJsonString", cond, None, None, "LastUpdate", None, 0, None, None)).value
        assert json.loads(c) == {"OK": True, "Value": a}
        d = (
            await filled.call(admin, name, cond, None, None, "LastUpdate", None, 0, None, None, clientSetup="None")
        ).value
        assert d == c
        bad = (await filled.call(admin, f"{name}AsJsonString", {"NoSuch": 1})).value
        assert json.loads(bad)["OK"] is False

    async def test_words_and_numbers_that_clients_match(self, filled, admin):
        async def refused(method, *args):
            reply = (await filled.call(admin, method, *args)).json
            return reply["Errno"], reply["Message"]

        assert await refused("getTransformation", "nope", True) == (0, "Transformation does not exist")
        errno, message = await refused("getTransformationMetaQuery", 1, "Input")
        assert errno == 2
        assert "No such file or directory" in message
        assert await refused("getTransformationParameters", 1, "X") == (
            0,
            "Parameter X not defined for transformation 1",
        )
        assert await refused("getTransformationParameters", 1, ["X"]) == (
            0,
            "Parameter X not defined for transformation 1",
        )
        assert await refused("addTransformation", *ADD) == (
            0,
            "Transformation with name t already exists with TransformationID = 1",
        )
        await filled.call(admin, "addTransformation", "p", "", "", "Processing", "", "", "")
        assert await refused("extendTransformation", 2, 1) == (0, "Can not extend non-SIMULATION type production")
        assert (await filled.call(admin, "getTransformationParameters", 1, ["Type"])).value == "MCSimulation"
        assert (await filled.call(admin, "getTransformationTaskStats", 1)).value == {"TotalCreated": 0}
        assert (await filled.call(admin, "cleanTransformation", 1)).value == 1

    async def test_tolerance(self, filled, admin):
        dated = {"__dCls": "dt", "obj": "2020-01-01 00:00:00"}
        later = "2100-11-23 05:00:00.123456"
        assert (await filled.call(admin, "getTransformations", {}, later, dated)).value
        assert (await filled.call(admin, "extendTransformation", "1", "2")).value == [1, 2]
        numbers = [*ADD[:8], "2.5", "0", "", "7", "8", 1, None, None]
        assert (await filled.call(admin, "addTransformation", "numbers", *numbers[1:])).value == 2
        found = (await filled.call(admin, "getTransformation", 2)).value
        assert (found["GroupSize"], found["MaxNumberOfTasks"], found["EventsPerTask"]) == (2.5, 7, 8)
        assert (await filled.call(admin, "getTransformationTaskStats", "")).value == {"Created": 2, "TotalCreated": 2}

    async def test_raw_content_query_string_and_compression(self, filled, admin):
        reply = await filled.call(admin, "getTransformation", 1, rawContent="x")
        assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert reply.json["Value"]["TransformationID"] == 1
        reply = await filled.post(admin, {"args": "[1]"}, path=f"{PATH}?method=echo&args=[2]")
        assert reply.value == 1
        body = gzip.compress(b"method=echo&args=%5B%22zipped%22%5D")
        kind = "application/x-www-form-urlencoded"
        reply = await filled.post(admin, body, Content_Type=kind, Content_Encoding="gzip")
        assert reply.value == "zipped"
        reply = await filled.call(admin, "echo", "x" * 2000)
        assert reply.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in (await filled.call(admin, "echo", "x")).headers

    async def test_long_lists_are_like_short_ones(self, filled, admin):
        assert len((await filled.call(admin, "extendTransformation", 1, 1501)).value) == 1501
        cond = {"TransformationID": 1}
        reply = await filled.call(admin, "getTransformationTasks", cond, None, None, "CreationTime", None, 0, False)
        assert reply.text == json.dumps(reply.json)
        assert [row["TaskID"] for row in reply.value] == list(range(1, 1502))
        assert {type(row["CreationTime"]) for row in reply.value} == {dict}
        assert len(reply.json["Records"]) == 1501
        assert reply.headers["Content-Encoding"] == "gzip"
        asked = {"method": "getTransformationTasks", "args": json.dumps([cond])}
        plain = await filled.post(admin, asked, Accept_Encoding="identity")
        assert plain.text == reply.text
        assert plain.headers["Content-Length"] == str(len(plain.text))
        assert "Transfer-Encoding" not in plain.headers
        lfns = [f"/many/{number}" for number in range(700)]
        added = await filled.call(admin, "addFilesToTransformation", 1, lfns)
        assert added.value == {"Successful": dict.fromkeys(lfns, "Added"), "Failed": {}}
        text = await filled.call(admin, "getTransformationFilesAsJsonString", cond)
        assert [row["LFN"] for row in json.loads(text.value)["Value"]] == ["/w/1", "/w/2", *lfns]

    async def test_what_is_long_is_written_aside(self, dirac, admin, monkeypatch):
        aside, to_thread = [], asyncio.to_thread
        monkeypatch.setattr(asyncio, "to_thread", lambda f, *a, **k: aside.append(f.__name__) or to_thread(f, *a, **k))
        for value in ("short", "x" * 300_000, list(range(300)), {"a": {"b": "x" * 300_000}}):
            assert (await dirac.call(admin, "echo", value)).value == value
        assert aside.count("_json") == 3

    async def test_bodies_come_back_byte_for_byte(self, filled, admin):
        body = "<a b='c'>\"\\ \r\n é 漢 😀 &amp; %s :x"
        await filled.call(admin, "setTransformationParameter", 1, "Body", body)
        assert (await filled.call(admin, "getTransformation", 1)).value["Body"] == body


async def test_the_configuration_server(dirac, admin):
    path = "/Configuration/Server"
    reply = await dirac.post(admin, {"method": "getCompressedDataIfNewer", "args": '["0"]'}, path=path)
    assert reply.value == {"newestVersion": "0"}
    assert (await dirac.post(admin, {"method": "whoami", "args": "[]"}, path=path)).value["username"] == "adminuser"
    assert (await dirac.post(admin, {"method": "getTransformations"}, path=path)).status == 501
    assert (await dirac.post(None, {"method": "whoami"}, path=path)).status == 401


async def test_a_key_makes_a_change_happen_once_on_both_wires(dirac, admin):
    key = {"Idempotency-Key": "k"}
    form = {"method": "addTransformation", "args": json.dumps(ADD), "clientVO": "peervo"}
    first, again = [await dirac.post(admin, form, **key) for _ in range(2)]
    assert first.text == again.text == '{"OK": true, "Value": 1}'
    assert ["Idempotency-Replayed" in reply.headers for reply in (first, again)] == [False, True]
    assert again.headers["Idempotency-Replayed"] == "true"
    await dirac.call(admin, "addFilesToTransformation", 1, ["/w/1"])
    await dirac.call(admin, "addTaskForTransformation", 1, ["/w/1"])
    form = {"method": "getTasksToSubmit", "args": "[1, 10]"}
    first, again = [await dirac.post(admin, form, **{"Idempotency-Key": '"j"'}) for _ in range(2)]
    assert list(first.value["JobDictionary"]) == ["1"]
    assert first.text == again.text
    read = await dirac.post(admin, {"method": "getTransformations", "args": "[]"}, **key)
    assert "Idempotency-Replayed" not in read.headers
    bad = await dirac.post(admin, form, **{"Idempotency-Key": ""})
    assert not bad.json["OK"]

    async def rpc(*calls, batch=False):
        requests = [{"jsonrpc": "2.0", "id": 1, "method": name, "params": params} for name, params in calls]
        body = json.dumps(requests if batch else requests[0]).encode()
        reply = await dirac.post(admin, body, path="/rpc", Content_Type="application/json", **key)
        return reply.json, reply.headers.get("Idempotency-Replayed")

    stop = ("setTransformationParameter", [1, "Status", "Stopped"])
    refused, _ = await rpc(stop)
    assert refused["error"]["data"]["reason"] == "key reused"
    for replayed in (None, "true"):
        assert (await rpc(("whoami", []), stop, batch=True))[1] == replayed
    assert (await rpc(("whoami", [])))[1] is None


async def test_what_is_refused_is_in_the_audit_log(tmp_path, dirac, credential):
    audit = tmp_path / "audit.jsonl"
    settings = {"audit_log.enabled": True, "audit_log.path": str(audit)}
    agent, dave = credential("agent"), credential("dave")
    async with serving(tmp_path / "tls", **settings) as (url, *_):
        server = Dirac(url, dirac.ca, tmp_path)
        await server.call(dave, "getTransformations")
        await server.call(dave, "noSuch")
        await server.call(None, "getTransformations")
        await server.call(dave, "removeFile", ["/x"])
        await server.call(dave, "getTransformations", extraCredentials='"dirac_prod"')
        await server.call(agent, "getTransformations", extraCredentials='["/O=Peer/CN=dave", "prod_user"]')
        await server.post(dave, {"method": "getTransformation", "args": "{"})
        await server.call(dave, "deleteTransformation", "t")
        await server.call(None, "whoami")
        await server.post(None, {"method": "noSuch"}, path="/Configuration/Server")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["user"], line["method"], line["outcome"]) for line in lines] == [
        ("dave", "noSuch", "MethodNotFound"),
        (None, "getTransformations", "Unauthenticated"),
        ("dave", "removeFile", "Forbidden"),
        ("dave", "getTransformations", "Unauthenticated"),
        ("agent", "getTransformations", "Unauthenticated"),
        ("dave", "getTransformation", "InvalidParams"),
        ("dave", "deleteTransformation", "Forbidden"),
        (None, "whoami", "Unauthenticated"),
        (None, "noSuch", "MethodNotFound"),
    ]
    reasons = [line["reason"] for line in lines]
    assert all(reasons)
    assert reasons[2] == "removeFile needs one of: ProductionManagement, FileCatalogManagement"
    assert reasons[3] == "dave is not in the group 'dirac_prod'"
    assert reasons[4] == "only a host with TrustedHost may speak for others"


async def test_without_enabling_there_is_no_such_path(tmp_path, dirac, credential):
    async with serving(tmp_path / "tls", **{"dirac_https.enabled": False}) as (url, *_):
        dirac.base = url.removesuffix("/rpc")
        assert (await dirac.call(credential("dave"), "ping")).status == 404


def test_the_form_is_the_recorded_one():
    assert unquote_plus("args=%5B2%2C+%5B%22%2Fw%2F1%22%2C+%22%2Fw%2F2%22%5D%5D") == 'args=[2, ["/w/1", "/w/2"]]'
