"""Lists of DIRAC's wire that are longer than memory should be: read in pieces, kept until their length is known."""

import asyncio
import sys
import threading
from contextlib import asynccontextmanager

import pytest

from jsonrpc_tm.api import Identity
from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.core.errors import StorageUnavailable
from jsonrpc_tm.http import spool
from jsonrpc_tm.http.limits import Share
from jsonrpc_tm.storage import streams

from ..waiting import until
from .conftest import Dirac, serving
from .test_wire import ADD

FILES = "getTransformationFiles"
ASKED = [
    ("getTransformations", {}),
    (FILES, {"clientSetup": "None"}),
    (f"{FILES}AsJsonString", {}),
    (FILES, {}),
    ("getTransformationTasks", {}),
]


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mariadb)])
def storage_url(request, tmp_path):
    return request.getfixturevalue("mysql_url") if request.param == "mysql" else f"sqlite:///{tmp_path}/tm.sqlite"


@pytest.fixture
def kept(monkeypatch):
    """Files in which answers are kept, as their requests have them."""
    shares, real = [], Share.__init__
    monkeypatch.setattr(Share, "__init__", lambda self, *budgets: shares.append(self) or real(self, *budgets))

    def files():
        return [file for share in shares for file in share.files]

    return files


async def fill(service):
    context = service.context(Identity("adminuser", "dirac_prod", ("ProductionManagement",), dn="/O=Peer/CN=adminuser"))
    for number in range(3):
        await service.call(context, "addTransformation", [f'é "{number}"', *ADD[1:]])
    lfns = [f'/{number}/é😀"\\' for number in range(1200)]
    await service.call(context, "addFilesToTransformation", [1, lfns])
    await service.call(context, "extendTransformation", [1, 600])


@asynccontextmanager
async def filled(tmp_path, **settings):
    async with serving(tmp_path / "tls", **{"storage.migrate": True, **settings}) as (url, folder, service):
        await fill(service)
        yield Dirac(url, devcerts.Folder(folder).ca, tmp_path, service)


async def test_they_are_what_short_ones_are(tmp_path, storage_url, dirac, admin, kept, monkeypatch):
    async with filled(tmp_path, **{"storage.url": storage_url}) as server:
        short = [await server.call(admin, name, **fields) for name, fields in ASKED]
        assert kept() == []
        make_long(monkeypatch)
        monkeypatch.setattr(spool, "MEMORY", 2000)
        written, write = [], spool.Spool.write

        def noted(self, text):
            written.append(threading.current_thread() is not threading.main_thread())
            write(self, text)

        monkeypatch.setattr(spool.Spool, "write", noted)
        # they wait for a place, and are not read at once
        monkeypatch.setattr(streams.Streams, "at_once", lambda self, caller: False)
        for (name, fields), before in zip(ASKED, short, strict=True):
            reply = await server.call(admin, name, **fields)
            assert reply.text == before.text
            assert reply.headers.get("Content-Encoding") == "gzip"
        plain = await server.post(admin, {"method": FILES, "args": "[]"}, Accept_Encoding="identity")
        assert plain.text == short[3].text
        assert plain.headers["Content-Length"] == str(len(plain.text))
        assert len(plain.json["Value"]) == len(plain.json["Records"]) == 1200
        assert sum(written) > 20  # and those at the beginning are in no thread, for they are short
        assert len(kept()) == 2 * (len(ASKED) + 1)
        await gone(kept)


async def test_what_fails_midway_is_refused(tmp_path, admin, kept, monkeypatch):
    async with filled(tmp_path) as server:
        make_long(monkeypatch)
        with monkeypatch.context() as patch:
            break_after_a_batch(patch, StorageUnavailable("The database is gone"))
            reply = await server.call(admin, "getTransformationTasks")
            assert reply.json == {"OK": False, "Errno": 0, "Message": "The database is gone"}
        with monkeypatch.context() as patch:
            break_after_a_batch(patch, OSError("a bug"))
            assert (await server.call(admin, "getTransformationTasks")).status == 500
        with monkeypatch.context() as patch:
            patch.setattr(spool.Spool, "write", no_room(spool.Spool.write))
            reply = await server.call(admin, "getTransformationTasks")
            assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
        assert len(kept()) == 6
        await gone(kept)


async def test_a_caller_who_goes_away_ends_the_work(tmp_path, admin, kept, monkeypatch):
    reading, left = asyncio.Event(), asyncio.Event()
    real = streams.Stream.__anext__

    async def stuck(self):
        if not reading.is_set():
            reading.set()
            return await real(self)
        try:
            return await asyncio.sleep(60)
        except asyncio.CancelledError:
            left.set()
            raise

    async with filled(tmp_path) as server:
        make_long(monkeypatch)
        monkeypatch.setattr(streams.Stream, "__anext__", stuck)
        monkeypatch.setattr("jsonrpc_tm.rpc.attendance.LOOK_SECONDS", 0.01)
        call = asyncio.create_task(server.call(admin, "getTransformationTasks"))
        await reading.wait()
        call.cancel()
        await asyncio.wait_for(left.wait(), 30)
        await gone(kept)


def make_long(monkeypatch):
    """Let lists of more than two rows be long ones, for plugins that were loaded."""
    for name, module in list(sys.modules.items()):
        if name.endswith("dirac_https.listing"):
            monkeypatch.setattr(module.Kept, "short", 2)


def break_after_a_batch(patch, error):
    real, batches = streams.Stream.__anext__, []

    async def broken(self):
        batches.append(1)
        if len(batches) > 1:
            raise error
        return await real(self)

    patch.setattr(streams.Stream, "__anext__", broken)


def no_room(write):
    def refuse(self, text):
        # what is left in its buffer finds no room when it is closed, either
        close = self._file.close
        self._file.write, self._file.close = full, lambda: close() or full("")
        write(self, text)

    def full(text):
        raise OSError(28, "No space left on device")

    return refuse


async def gone(kept):
    """Wait until all files are closed: that comes after the answer."""
    await until(lambda: kept() and all(file.closed for file in kept()))
