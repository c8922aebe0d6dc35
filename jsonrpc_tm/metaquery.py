"""Meta queries: which files a transformation wants, by their metadata (section 6.4 of the specification).

A query maps field names to a scalar (equal), a list (one of them) or an object of operators; all must hold.
Everything here is pure, and nothing of a query is ever evaluated as code.
"""

import math
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from marshmallow import ValidationError

from . import fields
from .catalog.base import FieldType
from .errors import CatalogError
from .model import META_QUERIES, QUERY_TYPES

MISSING = "Missing"
"""As the plain value of a field: the file must not have the field."""
ANY = "Any"
"""As the plain value of a field: the file must have it, whatever its value."""
SET_OPERATORS = {"=": "in", "in": "in", "!=": "nin", "nin": "nin"}
ORDER_OPERATORS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
OPERATORS = (*SET_OPERATORS, *ORDER_OPERATORS)

Fields = Mapping[str, FieldType]
Key = tuple[str, Any]
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first condition of a query that a file does not fulfil.

    :param field: the metadata field.
    :param operator: ``in``, ``nin``, ``<``, ``>``, ``<=``, ``>=``, ``Missing`` or ``Any``.
    :param asked: the value in the query.
    :param found: the file's value; None where it has none.
    """

    field: str
    operator: str
    asked: Any
    found: Any


@dataclass(frozen=True, slots=True)
class _Condition:
    field: str
    operator: str
    asked: Any
    keys: tuple[Key, ...] | None  # None: an asked value cannot be read as the field's type

    def holds(self, found: Key | None) -> bool:
        """Whether a value that is there (None: unreadable) fulfils the condition."""
        if self.operator == ANY:
            return True
        if found is None or self.keys is None or self.operator == MISSING:
            return False
        if self.operator == "in":
            return found in self.keys
        if self.operator == "nin":
            return found not in self.keys
        kind, bound = self.keys[0]
        return found[0] == kind != "boolean" and bool(ORDER_OPERATORS[self.operator](found[1], bound))


def validate(query: Any) -> dict[str, Any]:
    """Return *query* if it is a meta query.

    :raises ValidationError: it is not; the messages are by field name.
    """
    if type(query) is not dict:
        raise ValidationError("Not an object.")
    if not query:
        raise ValidationError("Must not be empty.")
    name_length, value_length = (META_QUERIES.columns[c].length for c in ("MetaDataName", "MetaDataValue"))
    for name, asked in query.items():
        try:
            fields.text(name, name_length, empty=False)
            _validate_asked(asked)
            if value_length is not None and len(orjson.dumps(asked).decode()) > value_length:
                raise ValidationError(f"Longer than {value_length} characters as JSON.")
        except ValidationError as error:
            raise ValidationError({name[:255]: error.messages}) from None
    return query


def _validate_asked(asked: Any) -> None:
    if type(asked) is not dict:
        _validate_values(asked)
        return
    if not asked:
        raise ValidationError("Needs an operator.")
    for name, value in asked.items():
        if name in SET_OPERATORS:
            _validate_values(value)
        elif name in ORDER_OPERATORS:
            _validate_scalar(value)
        else:
            raise ValidationError(f"Unknown operator; valid are {', '.join(OPERATORS)}.")


def _validate_values(value: Any) -> None:
    if type(value) is not list:
        _validate_scalar(value)
        return
    if not value:
        raise ValidationError("The list must not be empty.")
    for item in value:
        _validate_scalar(item)


def _validate_scalar(value: Any) -> None:
    if type(value) is str:
        fields.text(value, None)
    elif type(value) not in (bool, int, float):
        raise ValidationError("Must be a text, a number or a boolean.")


def read(value: Any, kind: FieldType | None) -> Key | None:
    """Return *value* in the form in which values of a field compare, None when it cannot be read as the field's type.

    Numbers count as text by their JSON text, and decimal texts as numbers, as in conditions (section 4).

    :param kind: the declared type; None for a field that the catalog does not declare: compared as JSON values.
    """
    kinds = type(value)
    if kind is None:
        if kinds is bool:
            return "boolean", value
        return ("string", value) if kinds is str else ("number", value) if kinds in (int, float) else None
    try:
        if kind == "int":
            return kind, fields.identifier(value)
        if kind == "date":
            return kind, fields.moment(value)
    except ValidationError:
        return None
    if kind == "string":
        return (kind, value if kinds is str else _json(value)) if kinds in (str, int, float) else None
    if kinds in (int, float) or (kinds is str and len(value) < 400 and _NUMBER.match(value)):
        number = float(value)
        return (kind, number) if math.isfinite(number) else None
    return None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def conditions(query: Mapping[str, Any], declared: Fields) -> Iterator[_Condition]:
    """Yield the conditions of a validated query, values read as the declared types."""
    for name, asked in query.items():
        yield from _conditions(name, orjson.dumps(asked), declared.get(name))


@lru_cache(maxsize=4096)  # addFile asks the same queries for every file: reading them costs more than matching
def _conditions(name: str, text: bytes, kind: FieldType | None) -> tuple[_Condition, ...]:
    asked = orjson.loads(text)
    if asked in (MISSING, ANY):
        return (_Condition(name, asked, asked, ()),)
    pairs = asked.items() if type(asked) is dict else (("=", asked),)
    return tuple(_Condition(name, SET_OPERATORS.get(word, word), value, _keys(value, kind)) for word, value in pairs)


def _keys(value: Any, kind: FieldType | None) -> tuple[Key, ...] | None:
    keys = [read(item, kind) for item in (value if type(value) is list else [value])]
    return None if None in keys else tuple(key for key in keys if key is not None)


def first_failure(query: Mapping[str, Any], metadata: Mapping[str, Any], declared: Fields) -> Failure | None:
    """Return the first condition that a file with *metadata* does not fulfil, None when it matches.

    :param query: a validated query.
    :param declared: the catalog's fields and their types; others compare as JSON values.
    """
    for condition in conditions(query, declared):
        found = metadata.get(condition.field)
        if found is None:
            failed = condition.operator != MISSING
        else:
            failed = not condition.holds(read(found, declared.get(condition.field)))
        if failed:
            return Failure(condition.field, condition.operator, condition.asked, found)
    return None


def matches(query: Mapping[str, Any], metadata: Mapping[str, Any], declared: Fields) -> bool:
    """Whether a file with *metadata* fulfils *query*; parameters as for ``first_failure``."""
    return first_failure(query, metadata, declared) is None


class Files:
    """Some thousand files to be matched with many queries: each condition looks at each distinct value once.

    :param files: metadata by LFN.
    :param declared: the catalog's fields and their types.
    """

    def __init__(self, files: Mapping[str, Mapping[str, Any]], declared: Fields) -> None:
        self._files = files
        self._lfns = list(files)
        self._declared = declared
        self._all = (1 << len(self._lfns)) - 1
        self._values: dict[str, dict[Key | None, int]] = {}

    def matching(self, query: Mapping[str, Any]) -> list[str]:
        """Return the LFNs that fulfil a validated query, in the order given."""
        chosen = self._all
        for condition in conditions(query, self._declared):
            values = self._field(condition.field)
            if condition.operator == MISSING:
                for mask in values.values():
                    chosen &= ~mask
            else:
                fulfilled = 0
                for key, mask in values.items():
                    if condition.holds(key):
                        fulfilled |= mask
                chosen &= fulfilled
            if not chosen:
                return []
        return [lfn for lfn, bit in zip(self._lfns, reversed(f"{chosen:b}"), strict=False) if bit == "1"]

    def _field(self, name: str) -> dict[Key | None, int]:
        """Return which files (a bit each) have which value of a field; None stands for unreadable ones."""
        masks = self._values.get(name)
        if masks is None:
            kind = self._declared.get(name)
            positions: dict[Key | None, list[int]] = {}
            for position, lfn in enumerate(self._lfns):
                value = self._files[lfn].get(name)
                if value is not None:
                    positions.setdefault(read(value, kind), []).append(position)
            masks = {key: _mask(bits, len(self._lfns)) for key, bits in positions.items()}
            self._values[name] = masks
        return masks


def _mask(positions: list[int], size: int) -> int:
    # one big integer at once: adding bits one by one would copy it each time
    octets = bytearray(size // 8 + 1)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")


def check_search(query: Mapping[str, Any], declared: Fields) -> None:
    """Refuse a search that a catalog with a schema cannot answer.

    :raises CatalogError: a field is not declared, or an asked value cannot be read as its type.
    """
    for condition in conditions(query, declared):
        name = condition.field
        if name not in declared:
            raise CatalogError(f"The catalog has no metadata field {name!r}", field=name)
        if condition.keys is None:
            raise CatalogError(f"Not a value of the type {declared[name]}, which field {name!r} has", field=name)


class MetaQuery(fields.Field):
    """A meta query.

    :param empty: whether ``{}`` is accepted too (for: no query).
    """

    def __init__(self, *, empty: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.empty = empty

    def _own_schema(self) -> fields.JSONSchema:
        scalar: fields.JSONSchema = {"type": ["string", "number", "boolean"]}
        values: fields.JSONSchema = {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}]}
        operators: fields.JSONSchema = {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {word: values if word in SET_OPERATORS else scalar for word in OPERATORS},
        }
        return {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": META_QUERIES.columns["MetaDataName"].length},
            "additionalProperties": {"anyOf": [*values["anyOf"], operators]},
        } | ({} if self.empty else {"minProperties": 1})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return {} if self.empty and value == {} else validate(value)


class QueryType(fields.Choice):
    """``Input`` (which files the transformation wants) or ``Output`` (what it makes)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(*QUERY_TYPES, **kwargs)
