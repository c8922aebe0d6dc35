"""What every storage must do about streams; part of ``storage_contract``."""

import asyncio
import contextlib
from typing import Any

import pytest

from ...core.errors import NotFound, StorageUnavailable
from ...storage.base import Batch, Select, Storage, Transaction
from ...storage.streams import STREAMS

ROWS = 5000


async def fill(tx: Transaction) -> None:
    """Insert some thousand files."""
    rows = [{"LFN": f"/{number:07}", "Status": "New"} for number in range(ROWS)]
    await tx.executemany(tx.dialect.insert_new_rows("DataFiles", ["LFN", "Status"], ["LFN"]), rows)


async def files(tx: Transaction) -> tuple[int, Select]:
    """Return the number of files, and the query of them all."""
    query = Select("SELECT LFN, Status FROM DataFiles WHERE LFN >= :low ORDER BY LFN", {"low": "/"})
    return await tx.fetch_value("SELECT COUNT(*) FROM DataFiles"), query


async def collect(storage: Storage, size: int) -> tuple[int, list[Batch]]:
    """Return the head and all batches of a stream of all files."""
    async with storage.stream("collect", files, size) as (head, batches):
        return head, [batch async for batch in batches]


class StreamContract:
    """One test a promise."""

    @pytest.mark.parametrize("size", [1000, 1024, ROWS, ROWS + 1])
    async def test_a_stream_has_a_head_and_all_rows_in_batches(self, storage: Storage, size: int) -> None:
        """Rows are tuples; all batches but the last are full, and none is empty."""
        await storage.run("fill", fill)
        head, batches = await collect(storage, size)
        assert head == ROWS
        assert [row for batch in batches for row in batch] == [(f"/{number:07}", "New") for number in range(ROWS)]
        assert {len(batch) for batch in batches[:-1]} <= {size}
        assert 0 < len(batches[-1]) <= size

    async def test_a_place_is_left_to_those_who_need_a_stream(self, storage: Storage) -> None:
        """Whoever could do without one is told to when the last but one is taken."""
        await storage.run("fill", fill)
        async with contextlib.AsyncExitStack() as stack:
            for number in range(STREAMS - 1):
                assert storage.streams_at_once(str(number))
                await stack.enter_async_context(storage.stream("some", files, 10, str(number)))
            assert not storage.streams_at_once("other")
        assert storage.streams_at_once("other")

    async def test_a_stream_of_no_rows_has_no_batch(self, storage: Storage) -> None:
        """Its head is there all the same."""
        assert await collect(storage, 10) == (0, [])

    async def test_values_of_a_stream_are_those_of_the_verbs(self, storage: Storage) -> None:
        """Numbers are numbers, dates are text, what is missing is None."""
        await storage.run("fill", fill)
        sql = "SELECT COUNT(*) AS a, SUM(FileID) AS b, :date AS c, NULL AS d, 1.5 AS e FROM DataFiles"
        query = Select(sql, {"date": "2026-01-02 03:04:05"})

        async def one(tx: Transaction) -> tuple[Any, Select]:
            return await tx.fetch_one(query.sql, query.parameters), query

        async with storage.stream("values", one) as (head, batches):
            assert [batch async for batch in batches] == [[tuple(head.values())]]

    async def test_what_refuses_a_stream_comes_out_as_it_is(self, storage: Storage) -> None:
        """Whether it is the head's business or the query's."""

        async def refuses(tx: Transaction) -> tuple[None, Select]:
            raise NotFound("nothing there")

        async def broken(tx: Transaction) -> tuple[None, Select]:
            return None, Select("SELECT a FROM NoSuchTable")

        async def writes(tx: Transaction) -> tuple[None, Select]:
            await tx.execute("DELETE FROM DataFiles")
            return None, Select("SELECT 1")

        for open, match in ((refuses, "nothing there"), (broken, "NoSuchTable"), (writes, "(?i)read")):
            for _ in range(STREAMS + 1):  # and gives its place back
                with pytest.raises(Exception, match=match) as caught:
                    async with storage.stream("refused", open):
                        pass
                assert not isinstance(caught.value, StorageUnavailable)

    async def test_a_stream_sees_one_moment(self, storage: Storage) -> None:
        """Head and rows, however long the reading takes and whatever is written meanwhile."""
        await storage.run("fill", fill)

        async def write(tx: Transaction, turn: int) -> None:
            await tx.execute("UPDATE DataFiles SET Status = :turn", {"turn": str(turn)})
            await tx.execute("DELETE FROM DataFiles WHERE LFN = :lfn", {"lfn": f"/{ROWS - 1 - turn:07}"})
            await tx.execute("INSERT INTO DataFiles (LFN) VALUES (:lfn)", {"lfn": f"/new/{turn}"})

        turn = 0
        async with storage.stream("moment", files, 100) as (head, batches):
            rows: Batch = []
            async for batch in batches:
                await storage.run("write", write, turn)
                turn += 1
                rows += batch
        assert turn == head / 100
        assert rows == [(f"/{number:07}", "New") for number in range(ROWS)]

    @pytest.mark.parametrize("how", ["left", "cancelled", "failed"])
    async def test_a_stream_that_ends_early_gives_everything_back(self, storage: Storage, how: str) -> None:
        """Many times more than there may be at once."""
        await storage.run("fill", fill)

        async def read() -> None:
            async with storage.stream("early", files, 10) as (_, batches):
                async for _ in batches:
                    if how == "left":
                        break
                    if how == "failed":
                        raise NotFound("failed")
                    await asyncio.sleep(60)

        for _ in range(3 * STREAMS):
            task = asyncio.create_task(read())
            if how == "cancelled":
                await asyncio.sleep(0.02)
                task.cancel()
            await asyncio.wait([task], timeout=30)
            assert task.cancelled() == (how == "cancelled")
            if how != "cancelled":
                assert isinstance(task.exception(), NotFound) == (how == "failed")
        assert (await collect(storage, 1000))[0] == ROWS

    async def test_streams_cancelled_at_any_moment_give_everything_back(self, storage: Storage) -> None:
        """While they wait for their turn, open, read, or end."""
        await storage.run("fill", fill)
        tasks = [asyncio.create_task(collect(storage, 100)) for _ in range(60)]
        for number, task in enumerate(tasks):
            await asyncio.sleep(0.002)
            if number % 3:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result[0] for result in results if not isinstance(result, BaseException)]
        assert (
            await asyncio.gather(*(collect(storage, 1000) for _ in range(STREAMS)))
            == [await collect(storage, 1000)] * STREAMS
        )

    async def test_open_streams_leave_room_for_everything_else(self, storage: Storage) -> None:
        """As many streams as there may be, and none of them being read."""
        await storage.run("fill", fill)
        streams = [storage.stream("idle", files, 10) for _ in range(STREAMS)]
        for stream in streams:
            await stream.__aenter__()
        async with asyncio.timeout(30):
            for _ in range(3):
                await asyncio.gather(*(storage.run("read", files, read=True) for _ in range(20)))
                await storage.run("write", lambda tx: tx.execute("UPDATE DataFiles SET Status = 'x' WHERE LFN = '/0'"))
        for stream in streams:
            await stream.__aexit__(None, None, None)

    async def test_closing_ends_streams(self, storage: Storage) -> None:
        """Their readers are told, and later ones too."""
        await storage.run("fill", fill)
        async with storage.stream("open", files, 10) as (_, batches):
            await anext(batches)
            await storage.__aexit__(None, None, None)
            with pytest.raises(StorageUnavailable, match="closed"):
                await anext(batches)
        with pytest.raises(StorageUnavailable, match="closed"):
            await collect(storage, 10)
