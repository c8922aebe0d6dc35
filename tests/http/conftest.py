"""A server with the tests' methods."""

from collections.abc import AsyncIterator

import pytest

from jsonrpc_tm.rpc.service import Service

from .fakes import Wire, make_service, serving


@pytest.fixture
def service() -> Service:
    return make_service()


@pytest.fixture
async def wire(service: Service) -> AsyncIterator[Wire]:
    async with serving(service) as wire:
        yield wire
