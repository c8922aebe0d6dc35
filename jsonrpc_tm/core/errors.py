"""Everything that can go wrong, as one tree. Only ``dispatch.py`` knows that these become JSON-RPC errors.

Source of codes and names: JSON-RPC 2.0, section 5.1, and the error table of the specification.
"""

from typing import Any, ClassVar

from .cutting import abridged, bounded


class TMError(Exception):
    """A failure that the caller is told about.

    :param message: one sentence for people, cut to 200 characters; never exception text of a library.
    :param data: further members of the error object's ``data`` (JSON values), each bounded to 1,000 values; where there
        were more, the member ``counts`` says how many.
    """

    code: ClassVar[int] = -32603
    type: ClassVar[str] = "InternalError"

    def __init__(self, message: str, **data: Any) -> None:
        self.message = abridged(message)
        super().__init__(self.message)
        self.data = bounded(data)


class ParseError(TMError):
    """The body is not JSON, or not UTF-8."""

    code, type = -32700, "ParseError"


class InvalidRequest(TMError):
    """JSON, but not a JSON-RPC request: wrong shape, empty or too large batch, a limit exceeded."""

    code, type = -32600, "InvalidRequest"


class MethodNotFound(TMError):
    """No method of that name; ``data.did_you_mean`` where a close name exists."""

    code, type = -32601, "MethodNotFound"


class InvalidParams(TMError):
    """The parameters do not fit the schema; ``data.errors`` is marshmallow's message dict, by parameter name.

    :param message: one sentence for people, without its full stop; the first of the errors is added to it.
    """

    code, type = -32602, "InvalidParams"

    def __init__(self, message: str, **data: Any) -> None:
        first = _first(data.get("errors"))
        super().__init__(f"{message}: {first}" if first else message, **data)


def _first(errors: Any) -> str:
    """Return the first of some errors with the place where it is, at most 200 characters; names may be the caller's."""
    place = ""
    while isinstance(errors, dict | list) and errors:
        name, errors = next(iter(errors.items())) if isinstance(errors, dict) else ("", errors[0])
        # marshmallow's word for all parameters together
        place += "" if name in ("", "_schema") else f"[{name}]" if isinstance(name, int) else f".{name}"
    text = f"{place.removeprefix('.')}: {errors}" if place else str(errors or "")
    return text if len(text) <= 200 else f"{text[:199]}…"


class InternalError(TMError):
    """A bug. The traceback is in the log under the request id, never in the answer."""


class Unauthenticated(TMError):
    """The method needs an identity and there is none; ``data.reason`` says why."""

    code, type = -32001, "Unauthenticated"


class BadCredentials(Unauthenticated):
    """Credentials were shown and are wrong: the whole request is refused with HTTP 401."""


class Forbidden(TMError):
    """The identity is known but lacks a right; ``data.needs`` says which."""

    code, type = -32003, "Forbidden"


class NotFound(TMError):
    """A transformation, task, file, parameter or meta query that does not exist; ``data.what`` says what it is.

    That is ``transformation``, ``task``, ``file``, ``parameter``, ``query``, or ``path`` for one in the file catalog;
    ``data.missing`` lists those that are not there where several were asked for.
    """

    code, type = -32004, "NotFound"


class Conflict(TMError):
    """A name is taken, something is there already, or ``expected`` does not hold any more.

    ``data.reason`` is ``name taken`` where another transformation has the name, ``key in use`` (then ``data.retryable``
    is true) or ``key reused`` where the call's Idempotency-Key is another's, and ``lease lost`` where somebody else has
    claimed the tasks that ``data.tasks`` lists, or nobody has them any more.
    """

    code, type = -32009, "Conflict"


class InvalidState(TMError):
    """What was asked does not fit the present status.

    ``data.reason`` is ``not extendable`` where a transformation's type is none of those that can be extended.
    """

    code, type = -32010, "InvalidState"


class StorageUnavailable(TMError):
    """The database is gone or busy after all retries.

    :param message: one sentence for people.
    :param data: ``outcome="unknown"`` when it was lost during a commit and nobody can tell what happened.
    """

    code, type = -32050, "StorageUnavailable"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message, retryable=True, **data)


class Unavailable(TMError):
    """The server has too much in flight, or cannot ask whom it must; nothing happened, and trying again may help."""

    code, type = -32051, "Unavailable"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message, retryable=True, **data)


class CatalogError(TMError):
    """The file catalog failed or refused."""

    code, type = -32060, "CatalogError"


class ConfigurationError(Exception):
    """The configuration, a plugin or the command line is wrong: the server does not start (exit code 2)."""


class DatabaseUnreachable(ConfigurationError):
    """The database does not answer, so that nothing can begin (exit code 3). Waiting may help."""
