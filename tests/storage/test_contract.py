"""The storage contract on SQLite, in a file and in memory."""

import pytest

from jsonrpc_tm.storage.sqlite import SqliteStorage
from jsonrpc_tm.tools.testing.storage_contract import StorageContract


class TestFile(StorageContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with SqliteStorage(tmp_path / "tm.db") as storage:
            yield storage


class TestMemory(StorageContract):
    @pytest.fixture
    async def storage(self):
        async with SqliteStorage(None) as storage:
            yield storage
