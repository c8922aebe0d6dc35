"""A server program for tests: ``python -m tests.http.program [--NAME=JSON …]`` serves the tests' service."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from jsonrpc_tm.api import Method
from jsonrpc_tm.core import fields
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.lifetimes import background
from jsonrpc_tm.http import workers
from jsonrpc_tm.http.server import serve
from jsonrpc_tm.observe import logs

from .fakes import SETTINGS, make_service


async def _pid(outside: Any) -> int:
    """Return the id of the process that answers."""
    return os.getpid()


async def _turn(outside: Any) -> float:
    """Return the seconds after which a thread at work makes way."""
    return sys.getswitchinterval()


async def _loop(outside: Any) -> str:
    """Return what the event loop is of."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


async def _sleep(outside: Any, seconds: float) -> str:
    """Take a while."""
    os.write(1, b"sleeping\n")
    await asyncio.sleep(seconds)
    return "slept"


async def _die(outside: Any) -> None:
    """End the process as kill -9 does."""
    os.kill(os.getpid(), 9)


async def _block(outside: Any) -> None:
    """Let nothing else run."""
    os.write(1, b"blocking\n")
    signal.pause()


@contextlib.asynccontextmanager
async def _forever(service: Any) -> AsyncIterator[None]:
    """Never be open, as with a database that cannot be reached."""
    os.write(1, b"opening\n")  # in one piece: several processes write
    await asyncio.sleep(1000)
    yield


async def _endless(service: Any) -> None:
    """Work for ever, but end when asked to."""
    os.write(1, b"working\n")
    await asyncio.Event().wait()


async def _stubborn(service: Any) -> None:
    """Work for ever, and not end when asked to for the first time."""
    os.write(1, b"working\n")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


_LIFETIMES = {"waits": _forever, "endless": background(_endless), "stubborn": background(_stubborn)}


def service(**settings: Any) -> Any:
    """Return the tests' service with methods that show processes."""
    if settings.get("broken"):
        raise ConfigurationError("storage.url: there is nothing there")
    return make_service(
        Method("pid", _pid, rule="all"),
        Method("turn", _turn, rule="all"),
        Method("loop", _loop, rule="all"),
        Method("sleep", _sleep, {"seconds": fields.Any_()}, rule="all"),
        Method("die", _die, rule="all"),
        Method("block", _block, rule="all"),
        observers=[logs.log_call],
        lifetimes=[lifetime for name, lifetime in _LIFETIMES.items() if settings.get(name)],
        **settings,
    )


def main() -> None:
    """Serve with the settings of the command line; exit 2 when they are wrong."""
    logs.configure({"logging.format": "text", "logging.level": "INFO"})
    pairs = (argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
    settings = SETTINGS | {name: json.loads(value) for name, value in pairs}
    workers.PATIENCE = settings.pop("patience", workers.PATIENCE)
    try:
        serve(service(**settings))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
