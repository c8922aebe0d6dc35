"""The TransformationManager: from the fields of a form to a call of ours, and to the text of its answer."""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from aiohttp import web

from jsonrpc_tm.api import (
    SERVICE,
    Context,
    Service,
    Tuples,
    body_of,
    check_identity,
    check_properties,
    errors,
    give_way,
    without_collections,
)

from . import answers, methods
from .endpoint import Body, Handler, Status, acting, decoded, limits, respond
from .form import Value
from .jencode import LONG, Undecodable, is_long, pieces
from .listing import BEGIN, END, Kept, Shape, escaped, made

P = ParamSpec("P")
T = TypeVar("T")
PATH = "/Transformation/TransformationManager"
MANY = 500
"""An answer of more rows is made in a thread: nobody else waits for it."""


def handler(*, records: bool) -> Handler:
    """Return the handler of the service's path.

    :param records: send ``Records`` and ``ParameterNames`` beside lists.
    """
    return functools.partial(respond, answer=functools.partial(_answer, records=records))


async def _answer(
    request: web.Request, context: Context, fields: Mapping[str, str], args: Value, *, records: bool
) -> Body:
    """Make a call in the order of DIRAC's checks: method, credentials, authorisation, arguments."""
    service = request.app[SERVICE]
    name = fields["method"]
    ours = methods.ours(name)
    if (name not in methods.METHODS and name != methods.AS_TEXT) or ours not in service.registry:
        raise Status(501, errors.MethodNotFound(f"No method {name[:100]!r}"))
    context = await acting(service, context, fields)
    _permit(service, context, name)
    try:
        given = await decoded(args, limits(service))
        if not isinstance(given, list):
            raise Undecodable("args is no list")
        # clients of DIRAC 9 say that they have no setup; they and the newest of 8 want the list as a text
        as_text = name == methods.AS_TEXT or (name == "getTransformationFiles" and fields.get("clientSetup") == "None")
        as_text = as_text and not fields.get("rawContent")
        reply = await _reply(request, context, ours, given, records=records, as_text=as_text)
    except (Undecodable, methods.WrongArguments) as error:
        raise Status(500, errors.InvalidParams(str(error))) from None
    if not isinstance(reply, dict):
        return reply
    if not is_long(reply):
        return _json(reply, as_text=as_text)
    with without_collections():  # it makes way for others, and not for itself
        return await asyncio.to_thread(_json, reply, as_text=as_text)


def _permit(service: Service, context: Context, name: str) -> None:
    """Refuse a caller whom the method's rule keeps out, before the arguments are looked at.

    :raises Status: 401.
    """
    rule = service.rules[methods.ours(name)]
    try:
        check_identity(name, rule, context.identity)
        check_properties(name, rule, context.identity)
    except errors.TMError as error:
        raise Status(401, error) from None


def _json(reply: Mapping[str, Any], *, as_text: bool) -> bytearray:
    """Return S_OK or S_ERROR as JSON; a long one in a thread, so that others go on between the steps.

    :param as_text: as a text inside of another S_OK.
    """
    text = bytearray(BEGIN if as_text else b"")
    given = 0
    for piece in pieces(answers.ok(reply["Value"]) if as_text and reply["OK"] else reply):
        text += escaped(piece.encode()) if as_text else piece.encode()
        if len(text) - given > LONG:  # about a millisecond's work
            give_way()
            given = len(text)
    text += END if as_text else b""
    return text


async def _reply(
    request: web.Request, context: Context, name: str, given: list[Any], *, records: bool, as_text: bool
) -> dict[str, Any] | Body:
    """Return S_OK or S_ERROR; for rows its JSON.

    :raises WrongArguments: too few or too many.
    :raises Status: a bug (500), or a caller who may not call (401).
    """
    service = request.app[SERVICE]
    method = service.registry.get(name)
    of_all = name == "getTransformationTaskStats" and given == [""]
    named = {} if of_all else methods.arguments(method, given)
    authored = methods.authored(name, named)
    if authored:
        context = dataclasses.replace(context, also=(methods.AUTHOR_DN,))
    shape = Shape(authored, service.users, records and name in methods.PAGED, as_text)
    outlet = Kept(request, shape) if method.streams else None
    try:
        if of_all:
            return answers.ok(await _all_task_stats(service, context))
        named = _authors_by_dn(service, named)
        result = await service.call(context, name, named, outlet)
    except errors.Unavailable:
        raise
    except errors.InternalError:
        raise Status(500) from None
    except errors.Unauthenticated:
        raise Status(401) from None
    except errors.Conflict as error:
        if name == "addTransformation" and error.data.get("reason") == "name taken":
            return await _taken(service, context, named["transName"])
        return answers.refusal(name, error, named)
    except errors.TMError as error:
        return answers.refusal(name, error, named)
    if outlet is not None and outlet.spools:
        return body_of(outlet.spools)
    if isinstance(result, Tuples):
        if result.rows:
            return await _aside(result.rows, made, result, shape)
        result = []
    return await _aside(result, methods.reply, method, named, result, service.users, records=records)


async def _aside(value: Any, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what *function* returns, called in a thread where it works on many rows.

    :param value: what it works on: a list, or an object by name or number.
    """
    if isinstance(value, dict):
        value = value.get("Successful", value)
    if isinstance(value, list | dict) and len(value) > MANY:
        with without_collections():
            return await asyncio.to_thread(function, *args, **kwargs)
    return function(*args, **kwargs)


async def _taken(service: Service, context: Context, name: str) -> dict[str, Any]:
    """Return S_ERROR for a name that is taken, with the id that the reference tells."""
    found = []
    with contextlib.suppress(errors.TMError):  # it is taken all the same
        found = await service.call(context, "getTransformations", {"condDict": {"TransformationName": name}})
    ids = "".join(f" with TransformationID = {row['TransformationID']}" for row in found)
    return answers.failed(f"Transformation with name {name} already exists{ids}")


async def _all_task_stats(service: Service, context: Context) -> dict[str, int]:
    """Return the task statistics of all transformations together: what the reference means by the name ``""``."""
    found = await service.call(context, "getCounters", ["TransformationTasks", ["ExternalStatus"], {}])
    stats = {key["ExternalStatus"]: number for key, number in found}
    return {**stats, "TotalCreated": sum(stats.values())}


def _authors_by_dn(service: Service, named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with conditions on ``AuthorDN`` turned into conditions on the author's name.

    :raises InvalidParams: the condition compares it with something other than texts.
    """
    condition = named.get("condDict")
    if not isinstance(condition, dict) or methods.AUTHOR_DN not in condition:
        return named
    wanted = condition[methods.AUTHOR_DN]
    author: Any
    if isinstance(wanted, dict) and wanted.keys() <= {"=", "!=", "in", "nin"}:
        author = {operator: _authors(service, dns) for operator, dns in wanted.items()}
    else:
        author = _authors(service, wanted)
    rest = {key: value for key, value in condition.items() if key != methods.AUTHOR_DN}
    return {**named, "condDict": {**rest, "Author": author}}


def _authors(service: Service, wanted: Any) -> list[str]:
    """Return the names of the users with some DNs; a DN that nobody has stands for itself."""
    dns = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(dn, str) for dn in dns):
        raise errors.InvalidParams("Invalid key AuthorDN in condDict")
    users = [service.users.by_dn(dn) for dn in dns]
    return [user.name if user else dn for user, dn in zip(users, dns, strict=True)]
