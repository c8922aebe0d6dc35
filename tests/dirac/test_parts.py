"""The parts of the DIRAC wire that need no server: JEncode, forms, callers, arguments."""

import base64
import contextlib
import json
from urllib.parse import parse_qsl

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsonrpc_tm.api import ANONYMOUS, Identity, RequestLimits, Tuples, errors
from jsonrpc_tm.app import create_service
from jsonrpc_tm.auth.users import ConfiguredUsers
from plugins.dirac_https import answers, callers, form, jencode, listing, methods

LIMITS = RequestLimits(20, 1000)


class TestJEncode:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("[1, 2.5, true, null]", [1, 2.5, True, None]),
            ('{"__dCls": "dt", "obj": "2020-01-01 00:00:00"}', "2020-01-01 00:00:00"),
            ('[{"__dCls": "date", "obj": "2020-01-01"}]', ["2020-01-01"]),
            (json.dumps({"a": {"__dCls": "b64", "obj": base64.b64encode("é".encode()).decode()}}), {"a": "é"}),
            ('"\\u00e9"', "é"),
        ],
    )
    def test_tags_become_texts(self, text, value):
        assert jencode.decode(text, LIMITS) == value

    @pytest.mark.parametrize(
        "text",
        [
            '{"__dCls": "Transformation", "__dMod": "DIRAC.TransformationSystem.Client.Transformation"}',
            '{"__dCls": "Popen", "__dMod": "subprocess", "obj": "x"}',
            '{"__dCls": "dt", "obj": "2020-01-01", "__dMod": "os"}',
            '{"__dCls": "dt"}',
            '{"__dCls": ["dt"], "obj": "x"}',
            '{"__dCls": "dt", "obj": 5}',
            '{"__dCls": "b64", "obj": "not base64!"}',
            '{"__dCls": "b64", "obj": "/w=="}',
            '{"__dCls": null, "obj": "x"}',
            "[" * 21 + "]" * 21,
            "[" * 5000 + "]" * 5000,
            "[9223372036854775808]",
            "[" + "9" * 5000 + "]",
            "NaN",
            "",
            "{",
            '"' + "x" * 1001 + '"',
            '"\ud800"',
        ],
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(jencode.Undecodable):
            jencode.decode(text, LIMITS)

    @given(st.text(max_size=200))
    def test_garbage_gives_a_value_or_a_refusal(self, text):
        with contextlib.suppress(jencode.Undecodable):
            json.dumps(jencode.decode(text, LIMITS))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda items: st.lists(items) | st.dictionaries(st.text() | st.integers() | st.none(), items),
        )
    )
    def test_answers_are_written_in_pieces_as_python_writes_them_whole(self, value):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jencode, "PIECE", 3)
            patch.setattr(jencode, "TEXT", 5)
            assert jencode.encode(value) == json.dumps(value)

    @pytest.mark.parametrize("before", range(18))
    def test_a_tag_is_found_wherever_it_stands(self, before, monkeypatch):
        monkeypatch.setattr(jencode, "_SEARCHED", 9)
        text = f'[{before * " "}{{"__dCls": "dt", "obj": "x"}}]'
        assert jencode.decode(text, LIMITS) == ["x"]
        assert jencode.decode(text.replace("dCls", "dCl"), LIMITS) == [{"__dCl": "dt", "obj": "x"}]

    def test_a_list_of_long_texts_is_long(self):
        assert jencode.is_long({"OK": True, "Value": ["x", "y" * (jencode.TEXT + 1)]})
        assert not jencode.is_long({"OK": True, "Value": ["x"] * jencode.PIECE})

    def test_answers_are_as_python_writes_them(self):
        assert jencode.encode({"a": [1, "é"]}) == '{"a": [1, "\\u00e9"]}'
        assert jencode.date("2024-10-15T12:00:02Z") == {"__dCls": "dt", "obj": "2024-10-15 12:00:02"}
        assert jencode.date(None) is None


class TestForm:
    KIND = "application/x-www-form-urlencoded"

    def test_the_last_of_a_field_counts(self):
        assert form.parse(self.KIND, b"a=1&b=x%20y&a=2&c=") == {"a": b"2", "b": b"x y", "c": b""}

    def test_multipart(self):
        body = b'--x\r\nContent-Disposition: form-data; name="method"\r\n\r\nping\r\n--x--\r\n'
        assert form.parse('multipart/form-data; boundary="x"', body) == {"method": b"ping"}

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/json", b"{}"),
            ("", b"method=ping"),
            (KIND, b"method=\xff"),
            (KIND, b"&".join(b"a%d=1" % n for n in range(form.FIELDS + 1))),
            (KIND, b"a=%ff"),
            ("multipart/form-data", b"--x\r\n\r\n--x--"),
            ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\nping\r\n--x--\r\n"),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\n" * (form.FIELDS + 2)),
            *(
                (
                    "multipart/form-data; boundary=x",
                    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n%b\r\n--x--\r\n' % (end * form.LINES),
                )
                for end in (b"\r", b"\n")
            ),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Type: multipart/form-data; boundary=y\r\nContent-Disposition: form-data; name="a"'
                b'\r\n\r\n--y\r\nContent-Disposition: form-data; name="b"\r\n\r\n1\r\n--y--\r\n--x--\r\n',
            ),
        ],
    )
    def test_what_is_no_form_is_refused(self, kind, body):
        with pytest.raises(form.BadForm):
            form.parse(kind, body)

    @given(
        st.lists(
            st.sampled_from(["%", "=", "&", "+", "2", "F", "g", "%22", "%3d", "%25", "\n", "\r", "%C3%A9"]), max_size=12
        ).map("".join),
        st.sampled_from([3, 4, 5, form.PIECE]),
    )
    def test_it_is_read_as_urllib_reads_it(self, body, piece):
        try:
            expected = dict(parse_qsl(body, keep_blank_values=True, errors="strict"))
        except ValueError:
            expected = None
        with contextlib.suppress(form.BadForm), pytest.MonkeyPatch.context() as patch:
            patch.setattr(form, "PIECE", piece)
            found = form.parse(self.KIND, body.encode())
            assert {name: value.decode() for name, value in found.items()} == expected
            return
        assert expected is None

    @given(st.binary(max_size=300), st.sampled_from([KIND, "multipart/form-data; boundary=x"]))
    def test_garbage_gives_fields_or_a_refusal(self, body, kind):
        try:
            fields = form.parse(kind, body)
        except form.BadForm:
            return
        assert all(isinstance(value.decode(), str) for value in fields.values())


USERS = ConfiguredUsers(
    {
        "alice": {"dns": ["/CN=alice"], "groups": ["users", "managers"]},
        "sleepy": {"dns": ["/CN=sleepy"], "groups": ["users"], "suspended": True},
    },
    {"users": {"properties": []}, "managers": {"properties": ["ProductionManagement"]}},
    {"box": {"dns": ["/CN=box"], "properties": ["TrustedHost"]}},
)
ALICE = Identity("alice", "users", (), dn="/CN=alice", authentication="x509")
BOX = Identity("box", "hosts", ("TrustedHost",), dn="/CN=box", authentication="x509")


class TestCallers:
    def test_a_certificate_names_its_group(self):
        assert callers.resolve(ALICE, None, USERS) is ALICE
        manager = callers.resolve(ALICE, "managers", USERS)
        assert (manager.group, manager.properties) == ("managers", ("ProductionManagement",))

    def test_the_group_of_a_proxy_cannot_be_changed(self):
        proxy = Identity("alice", "users", (), dn="/CN=alice", authentication="proxy")
        assert callers.resolve(proxy, "managers", USERS) is proxy

    def test_nor_that_of_a_token(self):
        token = Identity("alice", "users", (), subject="alice", authentication="jwt", bound=True)
        assert callers.resolve(token, "managers", USERS) is token
        without = Identity("alice", "users", (), subject="alice", authentication="jwt")
        assert callers.resolve(without, "managers", USERS).group == "managers"

    def test_a_host_says_hosts_or_speaks_for_a_user(self):
        assert callers.resolve(BOX, "hosts", USERS) is BOX
        alice = callers.resolve(BOX, ["/CN=alice", "managers"], USERS)
        assert (alice.username, alice.group, alice.properties) == ("alice", "managers", ("ProductionManagement",))

    @pytest.mark.parametrize(
        ("identity", "extra"),
        [
            (ANONYMOUS, None),
            (ALICE, "admins"),
            (ALICE, "hosts"),
            (ALICE, ["/CN=alice", "managers"]),
            (ALICE, 5),
            (ALICE, {"group": "managers"}),
            (BOX, None),
            (BOX, "managers"),
            (BOX, ["/CN=alice", "admins"]),
            (BOX, ["/CN=nobody", "users"]),
            (BOX, ["/CN=sleepy", "users"]),
            (BOX, ["/CN=box", "hosts"]),
            (BOX, ["/CN=alice"]),
            (BOX, ["/CN=alice", ["managers"]]),
            (Identity("box", "hosts", ("ProductionManagement",), dn="/CN=box"), ["/CN=alice", "managers"]),
            (Identity("alice", dn="/CN=alice", refused="not yours"), None),
        ],
    )
    def test_everything_else_is_401(self, identity, extra):
        with pytest.raises(callers.NotAuthorised):
            callers.resolve(identity, extra, USERS)


class TestRefusals:
    """Errors are told apart by class and data, whatever their sentences say."""

    @pytest.mark.parametrize(
        ("name", "error", "errno", "message"),
        [
            ("getTransformation", errors.NotFound("gone", what="transformation"), 0, answers.MISSING),
            ("getTransformation", errors.NotFound("Transformation 1 does not exist"), 0, None),
            ("setTaskStatus", errors.NotFound("2 are missing", what="task", missing=[2]), 0, None),
            ("getTransformationMetaQuery", errors.NotFound("gone", what="transformation"), 0, answers.MISSING),
            (
                "getTransformationMetaQuery",
                errors.NotFound("no query", what="query"),
                2,
                "No such file or directory ( 2 : No MetaQuery found for transformation)",
            ),
            (
                "getTransformationParameters",
                errors.NotFound("none", what="parameter", missing=["X", "Y"]),
                0,
                "Parameter ['X', 'Y'] not defined for transformation 7",
            ),
            (
                "extendTransformation",
                errors.InvalidState("no", reason="not extendable"),
                0,
                "Can not extend non-SIMULATION type production",
            ),
            ("extendTransformation", errors.InvalidState("a rule forbids it"), 0, None),
            ("removeFile", errors.Forbidden("not you"), 13, "Permission denied ( 13 : not you)"),
        ],
    )
    def test_the_references_words(self, name, error, errno, message):
        named = {"transName": 7, "parameters": ["X", "Y", "Z"]}
        expected = {"OK": False, "Errno": errno, "Message": message or error.message}
        assert answers.refusal(name, error, named) == expected


@pytest.fixture(scope="module")
def registry():
    return create_service(None, {}, {"storage.url": "sqlite://:memory:"}).registry


MOMENTS = st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds"))
CELLS = {
    "TransformationID": st.integers(-(2**63) + 1, 2**63 - 1),
    "LastUpdate": st.none() | MOMENTS,
    "Author": st.sampled_from(["alice", "nobody"]),
    "Status": st.none() | st.sampled_from(["null", '"},', "Ta", '",\n  "', "T Z"]) | st.text(),
    "GroupSize": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "AuthorDN": st.none() | st.just("/CN=x"),
}
ROW = st.tuples(*CELLS.values()).map(lambda cells: dict(zip(CELLS, cells, strict=True)))


class TestListing:
    @given(
        st.lists(ROW, min_size=1, max_size=9) | ROW.map(lambda row: [row, dict(row), dict(row), dict(row)]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    )
    def test_it_is_the_text_that_a_short_answer_has(self, registry, rows, texts, records, as_text):
        reply = methods.reply(
            registry.get("getTransformations"), {}, [dict(row) for row in rows], USERS, records=records
        )
        if as_text:
            reply = answers.ok(jencode.encode(answers.ok(reply["Value"])))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(listing, "PIECE", 4)
            values = [tuple(row.values()) for row in rows]
            given = [(orjson.dumps(one).decode(),) for one in values] if texts else values
            shape = listing.Shape(True, USERS, records, as_text)
            text = listing.made(Tuples(tuple(CELLS), given, texts), shape).decode()
        # both ways of writing DEL are right
        assert text.replace("\x7f", f"{chr(92) * (1 + as_text)}u007f") == jencode.encode(reply)

    def test_columns_are_those_of_the_rows(self):
        for rows in ([("x",), ("x",)], []):
            shape = listing.Shape(False, USERS, True, False)
            assert json.loads(listing.made(Tuples(("Type",), rows), shape)) == {
                "OK": True,
                "Value": [{"Type": "x"}] * len(rows),
                "Records": [["x"]] * len(rows),
                "ParameterNames": ["Type"],
            }


class TestArguments:
    def test_every_method_of_the_reference_is_one_of_ours(self, registry):
        assert {name for name in methods.METHODS if name not in registry} == set()
        assert len(methods.METHODS) == 47

    @pytest.mark.parametrize(
        ("name", "given", "named"),
        [
            ("getTransformation", ["23", 0], {"transName": "23", "extraParams": False}),
            ("extendTransformation", [1, "5"], {"transName": 1, "nTasks": 5}),
            ("getTransformationFiles", [{}, None, None, "LastUpdate", None, 0, 7], {"limit": None, "offset": None}),
            ("getTransformationFiles", [{}, None, None, "LastUpdate", None, 2, 7], {"limit": 2, "offset": 7}),
            ("getTransformationFiles", [{}, None, None, "LastUpdate", None, "2", 7], {"limit": 2, "offset": 7}),
        ],
    )
    def test_what_is_tolerated(self, registry, name, given, named):
        found = methods.arguments(registry.get(name), given)
        assert {key: found.get(key) for key in named} == named

    @pytest.mark.parametrize(("name", "given"), [("getTransformation", []), ("ping", [1]), ("setTaskStatus", [1, 2])])
    def test_a_wrong_number_of_arguments(self, registry, name, given):
        with pytest.raises(methods.WrongArguments):
            methods.arguments(registry.get(name), given)
