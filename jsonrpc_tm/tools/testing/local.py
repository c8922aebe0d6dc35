"""A client within this process: no socket, but the wire's form all the same."""

import uuid
from collections.abc import Mapping

from ...client.base import BaseClient
from ...core.identity import ANONYMOUS, Identity
from ...rpc.dispatch import Dispatcher
from ...rpc.service import Service


class LocalClient(BaseClient):
    """Calls a service of this process; requests and answers take the wire's form all the same.

    :param service: open (``async with service``).
    :param identity: who calls.
    """

    def __init__(self, service: Service, identity: Identity = ANONYMOUS) -> None:
        super().__init__()
        self._service = service
        self._dispatcher = Dispatcher(service)
        self._identity = identity

    async def _send(self, body: bytes, headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
        key = headers.get("Idempotency-Key")
        answer = await self._dispatcher.handle(body, self._service.context(self._identity, uuid.uuid4().hex, key=key))
        return (204, b"") if answer is None else (200, bytes(answer))
