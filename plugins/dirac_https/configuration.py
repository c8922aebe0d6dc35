"""What ``DIRAC.initialize()`` asks of a Configuration server, so that a client needs no other server than this one."""

import functools
from collections.abc import Mapping

from jsonrpc_tm.core.errors import InvalidParams, MethodNotFound, Unauthenticated
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.rpc.service import Service

from . import answers
from .endpoint import Handler, Status, limits, respond, who
from .jencode import Undecodable, decode, encode

PATH = "/Configuration/Server"


def handler() -> Handler:
    """Return the handler of the Configuration server's path."""
    return functools.partial(respond, answer=_answer)


async def _answer(service: Service, identity: Identity, fields: Mapping[str, str], request_id: str) -> str:
    """Answer the two methods: there is no configuration here, and it is never newer than the client's own."""
    name = fields["method"]
    if name not in ("getCompressedDataIfNewer", "whoami"):
        raise Status(501, MethodNotFound(f"No method {name[:100]!r}"))
    identity = who(service, identity, fields)
    if name == "whoami":
        if not identity.authenticated:
            raise Status(401, Unauthenticated(f"whoami needs an identity: {identity.reason or 'unknown caller'}"))
        return encode(answers.ok(await service.call("whoami", [], identity, request_id)))
    try:
        given = decode(fields.get("args", "[]"), limits(service))
    except Undecodable as error:
        raise Status(500, InvalidParams(str(error))) from None
    version = given[0] if isinstance(given, list) and given and isinstance(given[0], str) else "0"
    return encode(answers.ok({"newestVersion": version}))
