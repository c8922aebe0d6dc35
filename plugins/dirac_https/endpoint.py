"""The service's path: from a form to a call and back."""

import functools
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from jsonrpc_tm.api import CallRecord
from jsonrpc_tm.auth.users import Users
from jsonrpc_tm.core.errors import (
    Conflict,
    Forbidden,
    InternalError,
    InvalidParams,
    MethodNotFound,
    ParseError,
    TMError,
    Unauthenticated,
)
from jsonrpc_tm.core.identity import Identity
from jsonrpc_tm.http import compression as encoding
from jsonrpc_tm.http.server import RUNNING, SERVICE, Refusal, caller, read_body
from jsonrpc_tm.rpc.body import Limits
from jsonrpc_tm.rpc.service import Service
from jsonrpc_tm.storage.base import Row, Transaction

from . import answers, callers, form, methods
from .jencode import Undecodable, decode, encode

PATH = "/Transformation/TransformationManager"
Handler = Callable[[web.Request], Awaitable[web.Response]]
Answer = Callable[[Service, Identity, Mapping[str, str], str], Awaitable[str]]

logger = logging.getLogger(__name__)
_REASONS = {400: "Bad Request", 401: "Unauthorized", 405: "Method Not Allowed", 501: "Not Implemented"}
_JSON = "application/json"


class Status(Exception):
    """An answer that is only an HTTP status, as tornado writes it.

    :param error: what the audit log hears of it; None where the service, or nobody, has a call to tell of.
    """

    def __init__(self, status: int, error: TMError | None = None) -> None:
        self.status = status
        self.error = error


def handler(*, records: bool) -> Handler:
    """Return the handler of the service's path.

    :param records: send ``Records`` and ``ParameterNames`` beside lists.
    """
    return functools.partial(respond, answer=functools.partial(_call, records=records))


async def respond(request: web.Request, answer: Answer) -> web.Response:
    """Answer a form: find out the fields and the caller, then let *answer* make the JSON text."""
    request_id = secrets.token_hex(16)
    with request.app[RUNNING]:
        try:
            text, raw = await _respond(request, answer, request_id)
        except Status as refused:
            return _page(refused.status)
        except Refusal as refused:
            response = _page(refused.status)
            response.headers.update(refused.headers)
            return response
        except Exception:
            logger.exception("a request failed", extra={"request_id": request_id})
            return _page(500)
        kind = f"{_JSON}; charset=UTF-8" if raw else _JSON
        response = web.Response(body=text.encode(), headers={"Content-Type": kind, "Vary": "Accept-Encoding"})
        if len(text) >= encoding.WORTH and encoding.accepted(request.headers.get("Accept-Encoding")) == "gzip":
            response.enable_compression(web.ContentCoding.gzip)
        return response


async def _respond(request: web.Request, answer: Answer, request_id: str) -> tuple[str, bool]:
    """Return the JSON text, and whether it was asked for raw."""
    if request.method != "POST":
        raise Status(405)
    try:
        fields = form.parse(request.headers.get("Content-Type", ""), await read_body(request))
    except (form.BadForm, ParseError):
        raise Status(400) from None
    name = fields.get("method") or request.query.get("method")
    if not name:
        raise Status(400)
    fields["method"] = name
    service = request.app[SERVICE]
    # a group is claimed in the form here, never in a header
    headers = request.headers.copy()
    headers.popall("X-TM-Group", None)
    identity = await caller(request, request_id, headers)
    try:
        return await answer(service, identity, fields, request_id), bool(fields.get("rawContent"))
    except Status as refused:
        if (error := refused.error) is not None:
            now = service.clock()
            service.report(
                CallRecord(name[:100], None, identity, request_id, error.type, error.message, 0.0, False, now)
            )
        raise


def _page(status: int) -> web.Response:
    title = f"{status}: {_REASONS.get(status, 'Internal Server Error' if status == 500 else 'Error')}"
    return web.Response(
        status=status,
        text=f"<html><title>{title}</title><body>{title}</body></html>",
        content_type="text/html",
    )


def limits(service: Service) -> Limits:
    """Return what a request's JSON may be."""
    return Limits(service.settings["limits.depth"], service.settings["limits.string_length"])


def who(service: Service, identity: Identity, fields: Mapping[str, str]) -> Identity:
    """Return the caller that a form's ``extraCredentials`` means.

    :raises Status: 401.
    """
    users: Users = service.users
    try:
        extra = decode(fields["extraCredentials"], limits(service)) if fields.get("extraCredentials") else None
        return callers.resolve(identity, extra, users)
    except Undecodable as error:
        raise Status(401, Unauthenticated(f"extraCredentials: {error}")) from None
    except callers.NotAuthorised as error:
        raise Status(401, Unauthenticated(str(error))) from None


async def _call(
    service: Service,
    identity: Identity,
    fields: Mapping[str, str],
    request_id: str,
    *,
    records: bool,
) -> str:
    """Make a call in the order of DIRAC's checks: method, credentials, authorisation, arguments."""
    name = fields["method"]
    if (name not in methods.METHODS and name != methods.AS_TEXT) or methods.ours(name) not in service.registry:
        raise Status(501, MethodNotFound(f"No method {name[:100]!r}"))
    identity = who(service, identity, fields)
    rule = service.rules[methods.ours(name)]
    if rule != "all" and not identity.authenticated:
        raise Status(401, Unauthenticated(f"{name} needs an identity: {identity.reason or 'unknown caller'}"))
    if isinstance(rule, tuple) and not identity.has_any(rule):
        raise Status(401, Forbidden(f"{name} needs one of: {', '.join(rule)}"))
    try:
        given = decode(fields.get("args", "[]"), limits(service))
        if not isinstance(given, list):
            raise Undecodable("args is no list")
        result = await _result(service, identity, methods.ours(name), given, request_id, records=records)
    except (Undecodable, methods.WrongArguments) as error:
        raise Status(500, InvalidParams(str(error))) from None
    if fields.get("rawContent"):
        return json.dumps(result)
    # clients of DIRAC 9 say that they have no setup; they and the newest of 8 want the list as a text
    if name == methods.AS_TEXT or (name == "getTransformationFiles" and fields.get("clientSetup") == "None"):
        if result["OK"]:
            result = answers.ok(result["Value"])
        return encode(answers.ok(encode(result)))
    return encode(result)


async def _result(
    service: Service, identity: Identity, name: str, given: list[Any], request_id: str, *, records: bool
) -> dict[str, Any]:
    if name == "getTransformationTaskStats" and given == [""]:
        return answers.ok(await _all_task_stats(service, identity, request_id))
    named = methods.arguments(service.registry.get(name), given)
    try:
        named = _authors_by_dn(service, named)
        result = await service.call(name, named, identity, request_id)
    except InternalError:
        raise Status(500) from None
    except Unauthenticated:
        raise Status(401) from None
    except Conflict as error:
        if name == "addTransformation":
            return await _taken(service, identity, named["transName"], request_id)
        return answers.refusal(name, error, named)
    except TMError as error:
        return answers.refusal(name, error, named)
    if name == "whoami":
        result = _whoami(result)
    result = methods.dated(name, result, named)
    await _add_author_dns(service, methods.authored(name, result))
    more = methods.records(name, result) if records and name in methods.PAGED else {}
    return answers.ok(result, more)


async def _taken(service: Service, identity: Identity, name: str, request_id: str) -> dict[str, Any]:
    """Return S_ERROR for a name that is taken, with the id that the reference tells."""
    found = await service.call("getTransformations", {"condDict": {"TransformationName": name}}, identity, request_id)
    ids = "".join(f" with TransformationID = {row['TransformationID']}" for row in found)
    return answers.failed(f"Transformation with name {name} already exists{ids}")


async def _all_task_stats(service: Service, identity: Identity, request_id: str) -> dict[str, int]:
    """Return the task statistics of all transformations together: what the reference means by the name ``""``."""
    found = await service.call("getCounters", ["TransformationTasks", ["ExternalStatus"], {}], identity, request_id)
    stats = {key["ExternalStatus"]: number for key, number in found}
    return {**stats, "TotalCreated": sum(stats.values())}


def _authors_by_dn(service: Service, named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with conditions on ``AuthorDN`` turned into conditions on the author's name."""
    condition = named.get("condDict")
    if not isinstance(condition, dict) or "AuthorDN" not in condition:
        return named
    wanted = condition["AuthorDN"]
    dns = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(dn, str) for dn in dns):
        raise InvalidParams("Invalid key AuthorDN in condDict")
    users = [service.users.by_dn(dn) for dn in dns]
    names = [user.name if user else dn for user, dn in zip(users, dns, strict=True)]
    rest = {key: value for key, value in condition.items() if key != "AuthorDN"}
    return {**named, "condDict": {**rest, "Author": names}}


async def _add_author_dns(service: Service, rows: list[dict[str, Any]]) -> None:
    """Add ``AuthorDN`` to rows with ``Author``: as recorded with the transformations, else the author's name."""
    authors = {row["Author"] for row in rows}
    if not authors:
        return

    async def body(tx: Transaction) -> list[Row]:
        return await tx.fetch_all(
            f"SELECT DISTINCT t.Author, t.AuthorDN FROM {tx.dialect.array('authors')} AS wanted"
            " JOIN Transformations t ON t.Author = wanted.value WHERE t.AuthorDN IS NOT NULL ORDER BY t.AuthorDN",
            {"authors": tx.dialect.pack(sorted(authors))},
        )

    found = await service.storage.run("dirac_https.authors", body, read=True)
    dns = {row["Author"]: row["AuthorDN"] for row in found}
    for row in rows:
        row["AuthorDN"] = dns.get(row["Author"], row["Author"])


def _whoami(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return whoami's answer with the members that DIRAC's clients know."""
    proxy = facts["authentication"] == "proxy"
    return {
        **facts,
        "identity": facts["DN"],
        "isProxy": proxy,
        "isLimitedProxy": False,
        "validDN": facts["DN"] is not None,
    }
