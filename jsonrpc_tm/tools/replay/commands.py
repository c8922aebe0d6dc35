"""The commands ``replay`` and ``record``."""

import asyncio
import functools
import signal
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import click

from ... import client
from ...app import load_plugins
from ...auth import devcerts
from ...core.addresses import is_loopback
from ...core.errors import ConfigurationError, StorageUnavailable
from ...core.records import Wire
from ...settings import CORE_SETTINGS
from . import junit, report, sockets, targets
from .record import Recording, recorder
from .run import OpenTarget, ScenarioOutcome, run
from .scenario import Scenario, load
from .targets import MEMORY

RIGHT, WRONG, CANNOT = 0, 1, 2
"""Exit codes: every step right, some wrong, nothing could be run."""

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE, metavar="PATH…")
@click.option("--storage", metavar="URL", help="Use a scratch database beside this one; it is dropped in the end.")
@click.option("--http", is_flag=True, help="Go through a real loopback socket with TLS and client certificates.")
@click.option("--url", metavar="URL", help="Replay against a server started with `serve --harness`.")
@click.option("--identities", type=_FILE, metavar="FILE", help="Callers, and with --url their credentials.")
@click.option("--ca", type=_FILE, metavar="FILE", help="With --url: authorities of the server's certificate.")
@click.option(
    "--dev-certs",
    type=_FILE,
    metavar="DIR",
    help="With --url: the server's development certificates [dev-certs, if it is there].",
)
@click.option("--catalog", type=_FILE, metavar="FILE", help="The file catalog, where none is beside the scenarios.")
@click.option("--wire", "wire_name", metavar="NAME", help="Say the steps in this plugin's wire; implies --http.")
@click.option("--junit", "junit_file", type=_FILE, metavar="FILE", help="Also write the outcome as JUnit XML.")
@click.option("-v", "--verbose", is_flag=True, help="Name every scenario.")
def replay(paths: tuple[Path, ...], junit_file: Path | None, verbose: bool, **options: Any) -> None:
    """Run scenario files, and folders of them, against a server and compare every answer.

    Exit codes: 0 every step is right, 1 some are wrong, 2 nothing could be run.
    """
    try:
        scenarios = load(paths, options["catalog"], options["identities"])
        outcomes = asyncio.run(_run(scenarios, _target(options), verbose))
        if junit_file is not None:
            junit.write(junit_file, outcomes)
    except (ConfigurationError, StorageUnavailable, aiohttp.ClientError, OSError) as error:
        click.echo(f"cannot replay: {_words(error)}", err=True)
        click.get_current_context().exit(CANNOT)
    for line in report.left_out_count(outcomes):
        click.echo(line)
    click.echo(report.summary(outcomes))
    click.get_current_context().exit(WRONG if any(outcome.failed for outcome in outcomes) else RIGHT)


@click.command()
@click.option("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="Where to listen [127.0.0.1, any port].")
@click.option("--url", required=True, metavar="URL", help="The server that calls are passed on to.")
@click.option("-o", "--output", type=_FILE, default="recording", metavar="DIR", help="Folder of the files [recording].")
@click.option("--name", default="recording", help="Name of the scenario [recording].")
@click.option("--cert", type=_FILE, metavar="FILE", help="Client certificate with which calls are passed on, PEM.")
@click.option("--key", type=_FILE, metavar="FILE", help="Its private key, PEM.")
@click.option("--ca", type=_FILE, metavar="FILE", help="Authorities of the server's certificate.")
@click.option("--token", metavar="TOKEN", help="Bearer token for calls that bring none.")
def record(listen: str, url: str, output: Path, name: str, **options: Any) -> None:
    """Pass calls on to a server and write them with their answers as scenarios, until SIGTERM or Ctrl-C.

    Prints `listening on URL`, and in the end how much was recorded. Calls with an Authorization header are passed on
    with it; others with the certificate or token given here.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.UsageError(f"--listen {listen!r} is not HOST:PORT")
    if not is_loopback(host):
        raise click.UsageError(
            "--listen: only loopback addresses, because whoever connects calls with these credentials"
        )
    try:
        url = client.endpoint(url)
        tls = None
        if url.startswith("https:"):
            tls = client.tls_context(cert=options["cert"], key=options["key"], ca=options["ca"])
        recording = Recording(output, name)
        asyncio.run(_record(host, int(port), url, recording, tls, options["token"]))
    except (ConfigurationError, OSError) as error:
        click.echo(f"cannot record: {_words(error)}", err=True)
        click.get_current_context().exit(CANNOT)
    click.echo(f"{recording.scenarios} scenarios, {recording.steps} steps recorded in {output}")


async def _record(
    host: str, port: int, url: str, recording: Recording, tls: ssl.SSLContext | None, token: str | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with recorder(host, port, url, recording, tls=tls, token=token) as own:
        click.echo(f"listening on {own}")
        await stop.wait()


def _words(error: Exception) -> str:
    """Return the sentence for an error, without Python's numbers for those of the system."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


async def _run(scenarios: Iterable[Scenario], open_target: OpenTarget, verbose: bool) -> list[ScenarioOutcome]:
    outcomes = []
    async for outcome in run(scenarios, open_target):
        outcomes.append(outcome)
        if verbose:
            click.echo(f"{outcome.scenario.name}: {len(outcome.steps)} steps, {len(outcome.failed)} failed")
        for line in (*report.failures(outcome), *report.left_out(outcome)):
            click.echo(line)
    return outcomes


def _target(options: Mapping[str, Any]) -> OpenTarget:
    url, storage = options["url"], options["storage"]
    if url is not None and (storage is not None or options["http"]):
        raise click.UsageError("--url names a server that is there: --storage and --http make one")
    wire = None if options["wire_name"] is None else _wire(options["wire_name"])
    if url is None and (options["ca"] or options["dev_certs"]):
        raise click.UsageError("--ca and --dev-certs go with --url")
    if url is not None:
        return functools.partial(
            sockets.attached,
            url=client.endpoint(url),
            identities=options["identities"],
            ca=options["ca"],
            dev_certs=options["dev_certs"] or _development_certificates(),
            wire=wire,
        )
    if options["http"] or wire is not None:
        return functools.partial(sockets.over_http, url=storage or MEMORY, wire=wire)
    return functools.partial(targets.in_process, url=storage or MEMORY)


def _wire(name: str) -> Wire:
    wires: dict[str, Wire] = {wire.name: wire for wire, _ in load_plugins().collect("register_replay_wire")}
    if name not in wires:
        raise click.UsageError(f"--wire: there is no wire {name!r}; there are {', '.join(sorted(wires)) or 'none'}")
    return wires[name]


def _development_certificates() -> Path | None:
    """Return the folder that a server started here without configuration keeps its certificates in, if it is there."""
    [folder] = [setting.default for setting in CORE_SETTINGS if setting.name == "server.tls.folder"]
    return Path(folder) if devcerts.Folder(Path(folder)).ca.is_file() else None
