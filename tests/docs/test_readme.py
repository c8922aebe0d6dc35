"""The README's five minutes, run as shown: only the port is another one, and the environment is this one."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.test_killed_server import free_port

from .blocks import ROOT, blocks

PAGE = "README.md"


@pytest.fixture
async def tour(tmp_path):
    """Start the server as the README does; return a function that runs a command beside it."""
    port = free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "JSONRPC_TM__SERVER__PORT": str(port),
        "JSONRPC_TM__CLIENT__URL": f"https://127.0.0.1:{port}/rpc",
    }
    start, *_ = blocks(PAGE, "sh")
    activate, serve = start.splitlines()
    assert activate == ". .venv/bin/activate"
    assert serve.split()[0] == "jsonrpc-tm"
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jsonrpc_tm", *serve.split()[1:]),
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    def run(command: str) -> str:
        command = command.replace("8443", str(port)).replace("jsonrpc-tm ", f"{sys.executable} -m jsonrpc_tm ")
        done = subprocess.run(
            ["bash", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        async with asyncio.timeout(60):
            async for line in server.stdout:
                if line.startswith(b"listening on "):
                    break
            else:
                pytest.fail((await server.stderr.read()).decode())
        yield lambda command: asyncio.to_thread(run, command)
    finally:
        if server.returncode is None:
            server.terminate()
        await server.communicate()


async def test_five_minutes(tour):
    _, calls, curl = blocks(PAGE, "sh")
    said = (await tour(calls)).splitlines()
    assert said[0] == "1"
    assert '"Status":"Created"' in said[3].replace(" ", "")
    assert '"ExternalID":"4711"' in said[5].replace(" ", "")
    assert said[6].replace(" ", "") == '{"Assigned":2,"Total":2}'
    assert '"TransformationName":"first"' in (await tour(curl)).replace(" ", "")
    (python,) = blocks(PAGE, "python")
    shown = await tour(f"{sys.executable} - <<'END'\n{python}\nEND\n")
    assert "'username': 'alice'" in shown
    assert "{'LFN': '/tour/a.root', 'TaskID': 1}" in shown
    described = await tour("jsonrpc-tm methods getTasksToSubmit")
    assert described.startswith("getTasksToSubmit(transName, numTasks")


def test_the_two_commands_come_first():
    commands = [
        line.split("#")[0].strip() for line in (ROOT / PAGE).read_text().splitlines() if line.startswith("    ")
    ]
    assert commands[:2] == ["make demo", "make test"]


def test_every_page_that_is_linked_exists():
    for page in [ROOT / PAGE, *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links {link}"


def test_every_target_that_takes_longer_is_named():
    page, makefile = (ROOT / PAGE).read_text(), (ROOT / "Makefile").read_text()
    longer = set(re.findall(r"^(test-[a-z]+|chaos|coverage|mutate|bench):", makefile, re.MULTILINE))
    assert longer == set(re.findall(r"^\| `make ([a-z-]+)` \|", page, re.MULTILINE))
