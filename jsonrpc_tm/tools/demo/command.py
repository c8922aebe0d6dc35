"""The command ``jsonrpc-tm demo``."""

import asyncio
import os
import signal
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ...client import Client
from ...core.errors import ConfigurationError
from . import count, files, production, report
from .server import Server, ServerFailed, running


@click.command()
@click.option("--storage", metavar="URL", help="Database to use; a new SQLite file by default.")
@click.option(
    "--files", "path", type=click.Path(path_type=Path), help="File names: a list, or a TSV with a column lfn."
)
@click.option("--workers", type=click.IntRange(min=1), default=8, show_default=True, help="Worker processes.")
def demo(storage: str | None, path: Path | None, workers: int) -> None:
    """Run a whole production through a real HTTPS server and check every number.

    Ends with 0 only when the server and an independent count of the database agree with what must be there.
    """
    if storage is not None and not storage.startswith(("sqlite:///", "mysql://")):
        raise ConfigurationError(
            "--storage must be sqlite:///file or mysql://user:password@host/database: the demo counts what is in it"
            " a second time, past the server"
        )
    try:
        names = files.read(path)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read the file names: {path}: {reason}") from None
    console = Console()
    with tempfile.TemporaryDirectory(prefix="jsonrpc-tm-demo-") as folder:
        url = storage or f"sqlite:///{folder}/demo.db"
        if url.startswith("sqlite:///"):
            # the server reads relative paths from its configuration's folder, the user from where he stands
            url = f"sqlite:///{Path(url.removeprefix('sqlite:///')).absolute()}"
        try:
            right = asyncio.run(_run(console, Path(folder), url, names, workers))
        except* (ServerFailed, production.WorkerFailed) as group:
            raise ConfigurationError("; ".join(str(error) for error in group.exceptions)) from None
        except* asyncio.CancelledError:
            raise SystemExit(128 + signal.SIGTERM) from None
    raise SystemExit(0 if right else 1)


async def _run(console: Console, folder: Path, storage: str, names: list[str], workers: int) -> bool:
    task = asyncio.current_task()
    assert task is not None
    # ended from outside, the demo still stops its server and its workers
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    begin = time.perf_counter()
    label = f"demo-{datetime.now(UTC):%m%dT%H%M%S}-{os.getpid()}"
    async with running(folder, storage) as server:
        console.print(f"server at {server.url}, database {storage.rpartition('@')[2]}, {len(names):,} files")
        with _bars(console) as bars:
            made = await production.produce(server, names, label, workers, _progress(bars))
        right = await _check(console, server, storage, made)
    console.print(f"{'all numbers are right' if right else 'NUMBERS ARE WRONG'} ({time.perf_counter() - begin:.1f} s)")
    return right


async def _check(console: Console, server: Server, storage: str, made: production.Production) -> bool:
    ids = (made.main, made.simulation, made.derived)
    async with Client(**server.client("manager")) as client:
        summary = await client.call("getTransformationSummary")
        stats = {
            trans: {
                "files": await client.call("getTransformationStats", trans),
                "tasks": await client.call("getTransformationTaskStats", trans),
            }
            for trans in ids
        }
    report.summary(console, [summary[str(trans)] for trans in ids])
    counted = {trans: await asyncio.to_thread(count.count, storage, trans) for trans in ids}
    return report.show(console, report.checks(made, stats, counted))


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def _progress(bars: Progress) -> production.Progress:
    known: dict[str, TaskID] = {}

    def progress(title: str, done: int, total: int) -> None:
        if title not in known:
            known[title] = bars.add_task(title, total=total)
        bars.advance(known[title], done)

    return progress
