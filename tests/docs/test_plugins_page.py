"""docs/plugins.md: every plugin shown is loaded and does what the page says; everything promised is on the page."""

import re
import ssl
import subprocess
import sys
import tomllib
from dataclasses import fields as parts
from datetime import UTC, datetime
from types import SimpleNamespace

import aiohttp
import pytest
import yaml

from jsonrpc_tm import api
from jsonrpc_tm.api import (
    EVENT_TYPES,
    CallRecord,
    Context,
    Credentials,
    Event,
    Identity,
    Outside,
    Work,
    errors,
    hookimpl,
)
from jsonrpc_tm.app import create_service
from jsonrpc_tm.hookspecs import Hooks
from jsonrpc_tm.http.health import Readiness
from jsonrpc_tm.http.reload import Reloader
from jsonrpc_tm.rpc.chain import Afterwards
from jsonrpc_tm.tools.docs.reference import descriptions, renewed
from tests.cli.processes import command, environment, server

from .blocks import ROOT, blocks, files

PAGE = "docs/plugins.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
MANAGER = Identity("alice", "production", ("ProductionManagement",))
SHARER = Identity("bob", "others", ("ProductionSharing",))
ADD = ["t", "", "", "Simulation", "", "", ""]


class Recorder:
    """A plugin that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def register_listener(self):
        yield self.events.append


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def start(tmp_path, recorder):
    """Return a function that starts a service with some of the page's plugins."""

    def start(*names: str, **settings: object):
        for name in names:
            (tmp_path / name).write_text(files(PAGE)[name])
        paths = [str(tmp_path / name) for name in names]
        overrides = {"storage.url": "sqlite://:memory:", "plugins.paths": paths} | settings
        return create_service(overrides=overrides, plugins=[recorder])

    return start


async def call(service, method, params=None, who=MANAGER):
    return await service.call(service.context(who), method, params)


def table(heading: str, number: int = 0) -> dict[str, str]:
    """Return a table of the section below a heading: the second cell by each word of the first that is code."""
    below = TEXT[TEXT.index(f"\n{heading}\n") + len(heading) + 2 :]
    section = re.split(r"^##+ ", below, maxsplit=1, flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    cells = [row.strip("| \n").split(" | ", 1) for row in tables[number].splitlines()[2:]]
    return {name: text for first, text in cells for name in re.findall(r"`([^`]+)`", first)}


def members(of: type, *also: str) -> set[str]:
    """Return the public attributes of a class."""
    return {name for name in (*vars(of), *getattr(of, "__annotations__", ()), *also) if not name.startswith("_")}


def shown(heading: str, prefix: str, number: int = 0) -> set[str]:
    """Return the members of ``prefix`` that a table names."""
    return {found for word in table(heading, number) for found in re.findall(rf"\b{prefix}\.(\w+)", word)}


class TestSnippets:
    def test_the_method_works_as_the_test_on_the_page_says(self, tmp_path):
        config, project = blocks(PAGE, "yaml")[0], blocks(PAGE, "toml")[1]
        (tmp_path / "my-plugins").mkdir()
        for name in ("my-plugins/stuck.py", "conftest.py", "test_stuck.py"):
            (tmp_path / name).write_text(files(PAGE)[name.rpartition("/")[2]])
        (tmp_path / "pyproject.toml").write_text(project)
        (tmp_path / "config.yaml").write_text(config)
        assert "stuck.files" in create_service(tmp_path / "config.yaml").registry
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout

    async def test_the_method_is_for_those_who_may_read(self, start):
        async with start("stuck.py", **{"private_reads.enabled": True}) as service:
            await call(service, "addTransformation", ADD)
            assert await call(service, "stuck.files", ["t"]) == []
            with pytest.raises(errors.NotFound):
                await call(service, "stuck.files", ["t"], SHARER)

    async def test_change_with_prepare_and_after(self, start, recorder, caplog):
        async with start("lost.py") as service:
            await call(service, "addTransformation", ADD)
            await call(service, "addFilesToTransformation", ["t", ["/a", "/b"]])
            assert await call(service, "lost.report", ["t", ["/a", "/elsewhere"]]) == 1
            assert "alice: 1 files of t are lost" in caplog.text
            assert await call(service, "getTransformationStats", ["t"]) == {"Removed": 1, "Unused": 1, "Total": 2}
            assert (await call(service, "getTransformationLogging", ["t"]))[-1]["Message"] == "Lost 1 files"
            assert [event.data for event in recorder.events if event.type == "lost.files"] == [{"count": 1}]
            with pytest.raises(errors.Forbidden):
                await call(service, "lost.report", ["t", ["/b"]], SHARER)
            await call(service, "catalog.addFiles", {"files": {"/b": {}}})
            with pytest.raises(errors.Conflict) as refused:  # before the right is asked
                await call(service, "lost.report", ["nothing", ["/b"]], SHARER)
            assert refused.value.data["files"] == ["/b"]
            raises = set(service.registry.get("lost.report").raises)
            assert raises >= {errors.Conflict, errors.CatalogError, errors.Forbidden, errors.NotFound}

    async def test_a_health_check(self, start, monkeypatch):
        async with start("disk_check.py") as service:
            readiness = Readiness(service, Reloader(service, None))
            status, document = await readiness.answer()
            assert (status, document["checks"]["disk"]["status"]) == (200, "pass")
            monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=5))
            status, document = await Readiness(service, Reloader(service, None)).answer()
            found = {"status": "warn", "text": "less than 1 GiB is free", "free": 5}
            assert (status, document["checks"]["disk"]) == (200, found)

    async def test_own_sql_with_what_the_policy_hides(self, start):
        async with start("largest.py", **{"private_reads.enabled": True}) as service:
            for name in ("t", "u"):
                await call(service, "addTransformation", [name, *ADD[1:]])
                await call(service, "addFilesToTransformation", [name, ["/a", "/b"][: 1 + (name == "u")]])
            assert list((await call(service, "largest.list")).items()) == [("2", 2), ("1", 1)]
            assert await call(service, "largest.list", [1]) == {"2": 2}
            assert await call(service, "largest.list", [], SHARER) == {}

    async def test_settings_listener_and_background(self, start, capsys):
        async with start("announce.py", **{"announce.enabled": True, "announce.greeting": "hear: "}) as service:
            await call(service, "addTransformation", ADD)
            await call(service, "getTransformation", ["t"])
            for _ in range(100):
                if out := capsys.readouterr().out:
                    break
                await call(service, "ping")
        assert out == "hear: t by alice\n"

    async def test_status_rule(self, start):
        async with start("final.py") as service:
            await call(service, "addTransformation", ADD)
            await call(service, "addFilesToTransformation", ["t", ["/a"]])
            await call(service, "setFileStatusForTransformation", ["t", {"1": "Processed"}])
            with pytest.raises(errors.InvalidState, match="a processed file stays processed"):
                await call(service, "setFileStatusForTransformation", ["t", {"1": "Unused"}])
            assert await call(service, "getTransformationStats", ["t"]) == {"Processed": 1, "Total": 1}

    async def test_state_machine(self, start):
        async with start("recalled.py") as service:
            await call(service, "addTransformation", ADD)
            await call(service, "addFilesToTransformation", ["t", ["/a"]])
            for asked, became in (("Processed", "Processed"), ("Unused", None), ("Recalled", "Recalled")):
                changed = {"/a": became} if became else {}
                assert await call(service, "setFileStatus", ["t", {"/a": asked}]) == changed

    async def test_policy(self, start):
        async with start("cautious.py") as service:
            await call(service, "addTransformation", ADD)
            with pytest.raises(errors.Forbidden) as refusal:
                await call(service, "deleteTransformation", ["t"])
            assert refusal.value.data["needs"] == ["status Archived"]
            with pytest.raises(errors.NotFound):
                await call(service, "getTransformation", ["t"], SHARER)
            assert await call(service, "getTransformations", [], SHARER) == []
            await call(service, "setTransformationParameter", ["t", "Status", "Archived"])
            await call(service, "deleteTransformation", ["t"])

    async def test_authenticator(self, start):
        (configured,) = re.findall(r"`authentication: (\[.*?\])`", TEXT)
        settings = {
            "authentication": yaml.safe_load(configured),
            "registry.users": {"jane": {"groups": ["users"]}},
            "registry.groups": {"users": {"properties": ["ProductionUser"]}},
        }
        (door,) = start("door.py", **settings).authenticators

        async def who(**headers: str) -> Identity | None:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await door.authenticate(Credentials(sent, None, None, datetime(2026, 11, 26, tzinfo=UTC)))

        assert await who() is None
        jane = await who(X_Door="jane 1234")
        assert (jane.username, jane.group, jane.properties) == ("jane", "users", ("ProductionUser",))
        assert not (await who(X_Door="joe 1234")).authenticated
        with pytest.raises(errors.BadCredentials):
            await who(X_Door="jane 4321")
        with pytest.raises(errors.ConfigurationError, match="needs the option code"):
            start("door.py", authentication=[{"door": {}}])

    async def test_route_and_command(self, tmp_path):
        for name in ("stuck.py", "stuck_page.py", "stuck_command.py"):
            (tmp_path / name).write_text(files(PAGE)[name])
        (tmp_path / "config.yaml").write_text("plugins: {paths: [stuck.py, stuck_page.py, stuck_command.py]}\n")
        with server(tmp_path, environment()) as url:
            env = environment(JSONRPC_TM__CLIENT__URL=url)

            def run(*words: str) -> str:
                done = subprocess.run(
                    command(*words), cwd=tmp_path, env=env, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stderr
                return done.stdout

            run("call", "addTransformation", "t", "", "", "Processing", "Standard", "Manual", "")
            run("call", "addFilesToTransformation", "t", '["/a", "/b"]')
            run("call", "setFileStatusForTransformation", "t", '{"1": "Assigned"}')
            assert run("stuck", "t") == ""
            assert "--cert" in run("stuck", "--help")
            tls = ssl.create_default_context(cafile=tmp_path / "dev-certs" / "ca.pem")
            page = url.removesuffix("/rpc") + "/stuck/"
            async with aiohttp.ClientSession() as session:
                assert (await session.get(page + "t", ssl=tls)).status == 401
                tls.load_cert_chain(tmp_path / "dev-certs" / "admin.pem", tmp_path / "dev-certs" / "admin.key")
            async with aiohttp.ClientSession() as session:
                answer = await session.get(page + "t", ssl=tls)
                assert (answer.status, await answer.text()) == (200, "")
                missing = await session.get(page + "u", ssl=tls)
                assert (missing.status, (await missing.json())["error"]["data"]["type"]) == (404, "NotFound")


class TestTables:
    def test_every_hook_is_on_the_page_with_its_arguments(self):
        shown = table("## The hooks")
        for name, hook in vars(Hooks).items():
            if name.startswith("register_"):
                arguments = ", ".join(hook.__code__.co_varnames[1 : hook.__code__.co_argcount])
                assert f"{name}({arguments})" in shown

    async def test_every_event_has_what_the_page_says(self, start, recorder):
        async with start() as service:
            await call(service, "addTransformation", ADD)
            await call(service, "createTransformationMetaQuery", ["t", {"n": 1}, "Input"])
            await call(service, "catalog.addFiles", {"files": {"/new": {"n": 1}}, "announce": True})
            await call(service, "deleteTransformationMetaQuery", ["t", "Input"])
            await call(service, "addFilesToTransformation", ["t", ["/a", "/b"]])
            await call(service, "addTransformation", ["child", *ADD[1:], "General", 1, "t"])
            await call(service, "addTaskForTransformation", ["t", ["/a"]])
            await call(service, "setTaskStatus", ["t", 1, "Done"])
            await call(service, "setFileStatusForTransformation", ["t", {"1": "Processed"}])
            await call(service, "deleteTasks", ["t", 1, 1])
            await call(service, "removeFile", [["/a"]])
            await call(service, "setTransformationParameter", ["t", "Status", "Active"])
            await call(service, "setTransformationParameter", ["t", "Note", 1])
            await call(service, "cleanTransformation", ["t"])
            await call(service, "deleteTransformation", ["t"])
        shown = table("### Settings, events and work in the background")
        told: dict[str, set[str]] = {}
        for event in recorder.events:
            told.setdefault(event.type, set()).update(event.data)
        assert set(told) == set(EVENT_TYPES) == set(shown)
        for name, data in told.items():
            assert data == set(re.findall(r"`([a-z]+)`", shown[name])), name

    @pytest.mark.parametrize(
        ("heading", "name", "of"),
        [
            ("### Work", "work", members(Work) | set(Work.__slots__)),
            ("### Outside", "outside", members(Outside) | members(Afterwards) | {"context"}),
            (
                "### Context",
                "context",
                {part.name for part in parts(Context)} | {"author", "caller", "replayed", "timestamp"},
            ),
        ],
    )
    def test_every_member_is_on_the_page(self, heading, name, of):
        assert shown(heading, name) == of - {"action", "events", "hold_new", "hold_wanting", "named"}

    @pytest.mark.parametrize(
        ("record", "names"), [(Event, {part.name for part in parts(Event)}), (CallRecord, set(CallRecord._fields))]
    )
    def test_every_member_of_what_is_told_is_on_the_page(self, record, names):
        (sentence,) = re.findall(rf"An? `{record.__name__}` has ((?:.|\n)*?)\.\s", TEXT)
        assert set(re.findall(r"`(\w+)`", sentence)) >= names

    def test_everything_promised_is_in_the_reference_in_the_words_of_the_code(self):
        reference = TEXT[TEXT.index("\n## Reference\n") :]
        named = re.findall(r"^\| `([\w.]+)` \|", reference, re.MULTILINE)
        assert len(named) == len(set(named))
        assert {name for name in named if "." not in name} == set(api.__all__)
        said = descriptions()
        assert [name for name in named if not said[name]] == []
        assert renewed(TEXT) == TEXT, "run: make docs"

    @pytest.mark.parametrize("module", ["errors", "fields", "results"])
    def test_what_these_modules_have_is_in_the_reference(self, module):
        internal = {"JSONSchema", "ResultSchema", "check"}
        public = {name for name in descriptions() if name.startswith(f"{module}.")}
        listed = set(re.findall(rf"^\| `({module}\.\w+)` \|", TEXT, re.MULTILINE))
        assert listed == {name for name in public if name.partition(".")[2] not in internal}


def test_the_configuration_and_the_entry_point_are_what_they_are_called():
    assert yaml.safe_load(blocks(PAGE, "yaml")[0]) == {"plugins": {"paths": ["my-plugins"]}}
    project = tomllib.loads(blocks(PAGE, "toml")[0])["project"]
    assert project["entry-points"] == {"jsonrpc_tm": {"stuck": "my_package.stuck"}}
    assert project["dependencies"] == ["jsonrpc-tm"]
    assert f"JSONRPC_TM_API = {api.API_VERSION}\n" in blocks(PAGE, "python")


def test_every_file_on_the_page_is_tried():
    tried = {
        "stuck.py", "lost.py", "largest.py", "announce.py", "final.py", "recalled.py", "cautious.py", "door.py",
        "stuck_page.py",
        "disk_check.py",
        "stuck_command.py", "conftest.py", "test_stuck.py",
    }  # fmt: skip
    assert {name for name in files(PAGE) if name.endswith(".py")} == tried
