"""Values that the reference service kept as text, as the JSON values they were. Nothing is ever evaluated."""

import ast
import re
from typing import Any
from xml.parsers import expat

import orjson

from ...core import model
from ...core.values import BadValue
from ...matching import query as metaquery

JSON = "JSON"
SEPARATOR = ";;;"
_PYTHON_2_LONG = re.compile(r"(?<![\w.'\"])(-?\d+)[lL]\b")


class Unreadable(ValueError):
    """The text is not what its type says."""


def parameter(text: str, kind: str) -> Any:
    """Return the value of an additional parameter.

    A text stays a text, whatever it looks like: that is what clients have been reading.

    :param kind: its ParameterType.
    :raises Unreadable: the text is not of that type.
    """
    if kind == JSON:
        return _json(text)
    if kind in ("IntType", "LongType"):
        return _integer(text)
    if kind == "FloatType":
        try:
            return _checked(float(text))
        except ValueError:
            raise Unreadable(text) from None
    if kind in ("BooleanType", "NoneType", "ListType", "TupleType", "DictType"):
        return literal(text)
    return text


def asked(name: str, text: str, kind: str) -> Any:
    """Return what a meta query asks of one field.

    :param name: the field.
    :param kind: its MetaDataType: ``Integer``, ``String`` or ``Dict``.
    :raises Unreadable: the text is not of that type, or not something that can be asked.
    """
    if kind == JSON:
        value = _json(text)
    elif kind == "Dict":
        value = literal(text)
    else:
        read = _number if kind == "Integer" else str
        values = [read(part) for part in text.split(SEPARATOR)]
        value = values if len(values) > 1 else values[0]
    try:
        metaquery.validate({name: value})
    except BadValue:
        raise Unreadable(text) from None
    return value


def literal(text: str) -> Any:
    """Return the JSON value that the Python text of a value stands for.

    :raises Unreadable: it is not a literal, or has no JSON form.
    """
    for attempt in (text, _PYTHON_2_LONG.sub(r"\1", text)):
        try:
            return _checked(ast.literal_eval(attempt.strip()))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    raise Unreadable(text)


def dumps(value: Any) -> str:
    """Return the JSON text that is stored."""
    return orjson.dumps(value).decode()


def _checked(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_checked(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {_checked(key): _checked(item) for key, item in value.items()}
    if isinstance(value, str):
        value.encode()  # a lone surrogate raises ValueError
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and model.MIN_INTEGER <= value <= model.MAX_INTEGER:
        return value
    if isinstance(value, float) and value - value == 0:  # neither infinite nor NaN
        return value
    raise ValueError(f"{type(value).__name__} has no JSON form")


def _integer(text: str) -> int:
    # Python refuses to read more than 4,300 digits
    if not re.fullmatch(r"\s*[-+]?[0-9]{1,4000}[lL]?\s*", text):
        raise Unreadable(text)
    number = int(text.strip().rstrip("lL"))
    if not model.MIN_INTEGER <= number <= model.MAX_INTEGER:
        raise Unreadable(text)
    return number


def _number(text: str) -> int | float:
    try:
        return _integer(text)
    except Unreadable:
        value = literal(text)
        if type(value) is float:
            return value
        raise


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unreadable(text) from None


def decoded(value: bytes) -> tuple[str, bool]:
    """Return the text of a BLOB, and whether it was UTF-8; other bytes are Latin-1."""
    try:
        return value.decode(), True
    except UnicodeDecodeError:
        return value.decode("latin-1"), False


_TASK_NUMBER = re.compile(r"(?:([0-9]{1,4000})_)?([0-9]{1,4000})")


def task_number(text: str) -> int | None:
    """Return the task's number of a text: digits, or an inherited one, ``parent_task``; None for any other text."""
    match = _TASK_NUMBER.fullmatch(text)
    if match is None:
        return None
    number = int(match[1] or 0) * model.INHERITED_TASK_FACTOR + int(match[2])
    return number if number <= model.MAX_INTEGER else None


# every quote, apostrophe and backslash behind a backslash, and no line end but as two characters
_ESCAPED = re.compile(r"\"((?:[^\"'\\\r\n]|\\.)*)\"", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "Z": "\x1a"}


def broken(body: str) -> bool:
    """Return whether a body is the SQL literal of the body that it should be, which an escaping fault stored."""
    match = _ESCAPED.fullmatch(body)
    if match is None:
        return False
    text = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), match[1], flags=re.DOTALL)
    if text.startswith(("[", "{")):
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        return True
    if not text.startswith("<"):
        return False
    try:
        expat.ParserCreate().Parse(text, True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True
