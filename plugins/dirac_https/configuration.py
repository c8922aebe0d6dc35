"""What ``DIRAC.initialize()`` asks of a Configuration server, so that a client needs no other server than this one."""

import functools
from collections.abc import Mapping

from aiohttp import web

from jsonrpc_tm.api import SERVICE, Context, check_identity, errors

from . import answers
from .endpoint import Handler, Status, acting, decoded, limits, respond
from .form import Value
from .jencode import Undecodable, encode

PATH = "/Configuration/Server"


def handler() -> Handler:
    """Return the handler of the Configuration server's path."""
    return functools.partial(respond, answer=_answer)


async def _answer(request: web.Request, context: Context, fields: Mapping[str, str], args: Value) -> bytes:
    """Answer the two methods: there is no configuration here, and it is never newer than the client's own."""
    service = request.app[SERVICE]
    name = fields["method"]
    if name not in ("getCompressedDataIfNewer", "whoami"):
        raise Status(501, errors.MethodNotFound(f"No method {name[:100]!r}"))
    context = await acting(service, context, fields)
    if name == "whoami":
        try:
            check_identity(name, "authenticated", context.identity)
        except errors.TMError as error:
            raise Status(401, error) from None
        return encode(answers.ok(await service.call(context, "whoami"))).encode()
    try:
        given = await decoded(args, limits(service))
    except Undecodable as error:
        raise Status(500, errors.InvalidParams(str(error))) from None
    version = given[0] if isinstance(given, list) and given and isinstance(given[0], str) else "0"
    return encode(answers.ok({"newestVersion": version})).encode()
