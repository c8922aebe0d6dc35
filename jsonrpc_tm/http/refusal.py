"""Answers to requests that are refused: an HTTP status, and a JSON-RPC error object as the body."""

import logging
import os
import re

from aiohttp import web

from ..core.errors import TMError
from ..rpc.dispatch import failure

logger = logging.getLogger(__name__)

NAME = "jsonrpc-tm"
"""What the header Server says: no versions."""
_REQUEST_ID = re.compile(r"[\w.:/+=@~-]{1,128}", re.ASCII)


class Refusal(Exception):
    """An HTTP status other than 200, with the JSON-RPC error of its body."""

    def __init__(self, status: int, error: TMError, **headers: str) -> None:
        self.status = status
        self.error = error
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def request_id_of(request: web.BaseRequest) -> str:
    """Return the id that the client gave its request, else a new one."""
    sent = request.headers.get("X-Request-ID", "")
    return sent if sent and _REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()


def refuse(request: web.BaseRequest, refusal: Refusal, request_id: str) -> web.Response:
    """Return the answer to a request that is refused, which the log then has."""
    logger.info(
        "refused with HTTP %d: %s",
        refusal.status,
        refusal.error.message,
        extra={"request_id": request_id, "outcome": refusal.error.type, "address": request.remote},
    )
    response = web.Response(
        status=refusal.status,
        body=failure(refusal.error, request_id),
        content_type="application/json",
        headers={"X-Request-ID": request_id, "Server": NAME, **refusal.headers},
    )
    if refusal.headers.get("Connection") == "close":
        response.force_close()
    return response
