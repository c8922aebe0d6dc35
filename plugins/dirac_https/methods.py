"""DIRAC's methods over ours: positional order, tolerance, and what its clients read in the answers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jsonrpc_tm.api import Method, Users, fields

from . import answers
from .jencode import VALUE, date

AS_TEXT = "getTransformationFilesAsJsonString"
METHODS = frozenset(
    """addDirectory addFile addFilesToTransformation addTaskForTransformation addTransformation cleanTransformation
    completeTransformation createTransformationMetaQuery deleteTasks deleteTransformation deleteTransformationMetaQuery
    deleteTransformationParameter echo exists extendTransformation getAdditionalParameters getCounters
    getDistinctAttributeValues getFileSummary getTabbedSummaryWeb getTableDistinctAttributeValues getTasksToSubmit
    getTransformation getTransformationFiles getTransformationFilesCount getTransformationFilesSummaryWeb
    getTransformationLogging getTransformationMetaQuery getTransformationParameters getTransformationStats
    getTransformationStatusCounters getTransformationSummary getTransformationSummaryWeb getTransformationTaskStats
    getTransformationTasks getTransformationTasksSummaryWeb getTransformationWithStatus getTransformations
    getTransformationsSummaryWeb ping removeFile setFileStatusForTransformation setMetadata setTaskStatus
    setTaskStatusAndWmsID setTransformationParameter whoami""".split()
)
"""What the reference service exports; our own and other plugins' methods are not on this wire."""
PAGED = ("getTransformations", "getTransformationFiles", "getTransformationTasks")
DATES = frozenset(("CreationDate", "LastUpdate", "InsertedTime", "CreationTime", "LastUpdateTime", "MessageDate"))
AUTHOR_DN = "AuthorDN"
_AUTHORED = ("getTransformation", "getTransformations", "getTransformationLogging", "getTasksToSubmit")

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?\Z", re.ASCII)


class WrongArguments(Exception):
    """Too few or too many: HTTP 500, as DIRAC answers a TypeError."""


def ours(name: str) -> str:
    """Return the name of our method behind one of DIRAC's."""
    return "getTransformationFiles" if name == AS_TEXT else name


def parameters(method: Method) -> list[str]:
    """Return the names of a method's parameters in DIRAC's positional order; what only we have comes last."""
    return list(method.params)


def arguments(method: Method, given: Sequence[Any]) -> dict[str, Any]:
    """Return DIRAC's positional arguments by name, with what the reference tolerates made right.

    :raises WrongArguments: too few or too many.
    """
    names = parameters(method)
    if len(given) > len(names):
        raise WrongArguments(f"{method.name} takes {len(names)} arguments, {len(given)} given")
    named = dict(zip(names, given, strict=False))
    if missing := [name for name in names if method.params[name].required and name not in named]:
        raise WrongArguments(f"{method.name} lacks {', '.join(missing)}")
    named = {name: _tolerant(method.params[name], value) for name, value in named.items()}
    if method.name in PAGED and not named.get("limit"):
        # the reference reads the offset only where there is a limit
        named.pop("limit", None)
        named.pop("offset", None)
    if method.name == "getTransformations" and isinstance(named.get("columns"), list):
        named["columns"] = _with_author(named["columns"])
    return named


def _tolerant(field: fields.Field, value: Any) -> Any:
    """Return a number that came as text, and a flag that came as number, as what they mean."""
    if isinstance(value, str):
        if isinstance(field, fields.Integer) and _INTEGER.match(value):
            return int(value)
        if isinstance(field, fields.Size) and _NUMBER.match(value):
            return float(value)
    if isinstance(field, fields.Boolean) and type(value) is int and value in (0, 1):
        return bool(value)
    return value


def _with_author(columns: list[Any]) -> list[Any]:
    """Return the columns, with Author and the id where AuthorDN is asked for: it is made from them."""
    if AUTHOR_DN not in columns:
        return columns
    return [*columns, *(name for name in ("Author", "TransformationID") if name not in columns)]


def authored(name: str, named: Mapping[str, Any]) -> bool:
    """Whether clients of DIRAC 8 read ``AuthorDN`` in the rows of an answer: wherever there is ``Author``."""
    columns = named.get("columns")
    return name in _AUTHORED and (not isinstance(columns, list) or "Author" in columns)


def reply(method: Method, named: Mapping[str, Any], result: Any, users: Users, *, records: bool) -> dict[str, Any]:
    """Return S_OK with a result as DIRAC shows it. The rows themselves are changed.

    :param users: know the DNs of authors whose rows have none.
    :param records: with ``Records`` and ``ParameterNames`` beside a list.
    """
    name = method.name
    if name == "whoami":
        result = _whoami(result)
    result = dated(name, result, named)
    if authored(name, named):
        for row in result if isinstance(result, list) else [result]:
            # always the last member; a row has none of its own where no certificate was shown, a log line where it is
            # not about the transformation's author
            own = row.pop(AUTHOR_DN, None)
            row[AUTHOR_DN] = own or dn_of(row["Author"], users)
    return answers.ok(result, _records(method, result) if records and name in PAGED else {})


def dn_of(author: str, users: Users) -> str:
    """Return the registry's DN of an author, the name itself where it knows none."""
    user = users.by_name(author)
    return user.dns[0] if user is not None and user.dns else author


def _whoami(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return whoami's answer with the members that DIRAC's clients know."""
    return {
        **facts,
        "identity": facts["DN"],
        "isProxy": facts["authentication"] == "proxy",
        "isLimitedProxy": False,
        "validDN": facts["DN"] is not None,
    }


def dated(name: str, result: Any, named: Mapping[str, Any]) -> Any:
    """Return a result with DIRAC's tags on its dates."""
    if name == "getTransformationParameters":
        asked = named.get("parameters")
        single = asked[0] if isinstance(asked, list) and len(asked) == 1 else asked
        return date(result) if isinstance(single, str) and single in DATES else _tag(result, DATES)
    if name == "ping":
        return _tag(result, frozenset(("time", "service start time")))
    rows = _ROWS.get(name)
    if rows is not None:
        for row in rows(result):
            row.update((key, date(row[key])) for key in row.keys() & DATES)
    return result


def _tag(result: Any, keys: frozenset[str]) -> Any:
    if not isinstance(result, dict):
        return result
    return {key: date(value) if key in keys else value for key, value in result.items()}


def _each(result: Any) -> Iterator[dict[str, Any]]:
    yield from result


def _only(result: Any) -> Iterator[dict[str, Any]]:
    yield result


def _values(result: Any) -> Iterator[dict[str, Any]]:
    yield from result.values()


def _summaries(result: Any) -> Iterator[dict[str, Any]]:
    for by_transformation in result["Successful"].values():
        yield from by_transformation.values()


_ROWS: Mapping[str, Callable[[Any], Iterator[dict[str, Any]]]] = {
    "getTransformation": _only,
    "getTransformations": _each,
    "getTransformationSummary": _values,
    "getTasksToSubmit": _only,
    "getFileSummary": _summaries,
}
"""Where the rows with dates are in the answers."""


def _records(method: Method, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``Records`` and ``ParameterNames`` of a list, everything but integers as text."""
    names = list(rows[0] if rows else method.result["items"]["properties"])
    return {"Records": [[_text(row.get(name)) for name in names] for row in rows], "ParameterNames": names}


def _text(value: Any) -> Any:
    if isinstance(value, dict) and VALUE in value:
        return value[VALUE]
    return value if type(value) is int else str(value)
