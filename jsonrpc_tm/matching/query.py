"""Meta queries: which files a transformation wants, by their metadata (section 6.4 of the specification).

A query maps field names to a scalar (equal), a list (one of them) or an object of operators; all must hold.
Everything here is pure, and nothing of a query is ever evaluated as code.
"""

import math
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ..core import values
from ..core.errors import CatalogError
from ..core.model import META_QUERIES, FieldType
from ..core.values import BadValue

MISSING = "Missing"
"""As the plain value of a field: the file must not have the field."""
ANY = "Any"
"""As the plain value of a field: the file must have it, whatever its value."""
SET_OPERATORS = {"=": "in", "in": "in", "!=": "nin", "nin": "nin"}
ORDER_OPERATORS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
OPERATORS = (*SET_OPERATORS, *ORDER_OPERATORS)

FORMS: Mapping[FieldType, str] = {
    "int": "42",
    "float": "1.5 or 42",
    "date": "2026-02-25 or 2026-02-25T13:45:00Z",
    "string": "a text or a number",
}
"""What values of a field may look like."""

Fields = Mapping[str, FieldType]
Key = tuple[str, Any]
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mismatch:
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

    @property
    def condition(self) -> Any:
        """The condition as a query may have it: ``Missing``, ``Any``, or an object of one operator."""
        if self.operator in (MISSING, ANY):
            return self.operator
        word = self.operator
        if type(self.asked) is not list:
            word = {"in": "=", "nin": "!="}.get(word, word)
        return {word: self.asked}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a query.

    :param operator: as in ``Mismatch``.
    :param keys: the asked values in the form in which they compare; None when one cannot be read as the field's type.
    """

    field: str
    operator: str
    asked: Any
    keys: tuple[Key, ...] | None

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

    :raises BadValue: it is not; the messages are by field name.
    """
    if type(query) is not dict:
        raise BadValue("Not an object.")
    if not query:
        raise BadValue("Must not be empty.")
    name_length, value_length = (META_QUERIES.columns[c].length for c in ("MetaDataName", "MetaDataValue"))
    for name, asked in query.items():
        try:
            values.text(name, name_length, empty=False)
            _validate_asked(asked)
            if value_length is not None and len(orjson.dumps(asked).decode()) > value_length:
                raise BadValue(f"Longer than {value_length} characters as JSON.")
        except BadValue as error:
            raise BadValue({name[:255]: error.messages}) from None
    return query


def _validate_asked(asked: Any) -> None:
    if type(asked) is not dict:
        _validate_values(asked)
        return
    if not asked:
        raise BadValue("Needs an operator.")
    for name, value in asked.items():
        if name in SET_OPERATORS:
            _validate_values(value)
        elif name in ORDER_OPERATORS:
            _validate_scalar(value)
        else:
            raise BadValue(f"Unknown operator; valid are {', '.join(OPERATORS)}.")


def _validate_values(value: Any) -> None:
    if type(value) is not list:
        _validate_scalar(value)
        return
    if not value:
        raise BadValue("The list must not be empty.")
    for item in value:
        _validate_scalar(item)


def _validate_scalar(value: Any) -> None:
    if type(value) is str:
        values.text(value, None)
    elif type(value) not in (bool, int, float):
        raise BadValue("Must be a text, a number or a boolean.")


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
            return kind, values.identifier(value)
        if kind == "date":
            return kind, values.moment(value)
        if kind == "string":
            return (kind, value if kinds is str else _json(value)) if kinds in (str, int, float) else None
        if kinds in (int, float) or (kinds is str and len(value) < 400 and _NUMBER.match(value)):
            number = float(value)
            return (kind, number) if math.isfinite(number) else None
    except (BadValue, OverflowError, orjson.JSONEncodeError):
        # of a whole number of more than 64 bits, too: another program's catalog may have one
        pass
    return None


def check_values(metadata: Mapping[str, Any], declared: Fields) -> None:
    """Refuse metadata that no query would find: values that cannot be read as their fields' declared types.

    :param metadata: values by field; null is none.
    :raises BadValue: the messages are by field name.
    """
    wrong = {
        name: [f"Not a value of the type {declared[name]}, such as {FORMS[declared[name]]}."]
        for name, value in metadata.items()
        if name in declared and value is not None and read(value, declared[name]) is None
    }
    if wrong:
        raise BadValue(wrong)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


class Query:
    """A meta query that is matched again and again: its values are read once for each set of field types.

    :param asked: a validated query.
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = asked
        self._names = tuple(asked)
        self._read: dict[tuple[FieldType | None, ...], tuple[Condition, ...]] = {}

    def conditions(self, declared: Fields) -> tuple[Condition, ...]:
        """Return the conditions, values read as the declared types."""
        kinds = tuple(map(declared.get, self._names))
        found = self._read.get(kinds)
        if found is None:
            found = self._read[kinds] = tuple(
                condition
                for (name, asked), kind in zip(self.asked.items(), kinds, strict=True)
                for condition in conditions_of(name, asked, kind)
            )
        return found


def conditions_of(name: str, asked: Any, kind: FieldType | None) -> Iterator[Condition]:
    """Yield the conditions of a validated query on one field."""
    if asked in (MISSING, ANY):
        yield Condition(name, asked, asked, ())
        return
    for word, value in asked.items() if type(asked) is dict else (("=", asked),):
        yield Condition(name, SET_OPERATORS.get(word, word), value, _keys(value, kind))


def _keys(value: Any, kind: FieldType | None) -> tuple[Key, ...] | None:
    keys = [read(item, kind) for item in (value if type(value) is list else [value])]
    return None if None in keys else tuple(key for key in keys if key is not None)


def first_mismatch(query: Query | Mapping[str, Any], metadata: Mapping[str, Any], declared: Fields) -> Mismatch | None:
    """Return the first condition that a file with *metadata* does not fulfil, None when it matches.

    :param query: a validated query; a ``Query`` where many files are matched.
    :param declared: the catalog's fields and their types; others compare as JSON values.
    """
    for condition in (query if isinstance(query, Query) else Query(query)).conditions(declared):
        found = metadata.get(condition.field)
        if found is None:
            failed = condition.operator != MISSING
        else:
            failed = not condition.holds(read(found, declared.get(condition.field)))
        if failed:
            return Mismatch(condition.field, condition.operator, condition.asked, found)
    return None


def matches(query: Query | Mapping[str, Any], metadata: Mapping[str, Any], declared: Fields) -> bool:
    """Whether a file with *metadata* fulfils *query*; parameters as for ``first_mismatch``."""
    return first_mismatch(query, metadata, declared) is None


def check_search(query: Mapping[str, Any], declared: Fields, catalog: str = "The catalog") -> None:
    """Refuse a search that a catalog with a schema cannot answer.

    :param catalog: what messages call the catalog.
    :raises CatalogError: a field is not declared, or an asked value cannot be read as its type.
    """
    for condition in Query(query).conditions(declared):
        name = condition.field
        if name not in declared:
            raise CatalogError(f"{catalog} has no metadata field {name!r}", field=name)
        if condition.keys is None:
            kind = declared[name]
            raise CatalogError(
                f"{catalog} has the type {kind} for {name!r}: values are such as {FORMS[kind]}", field=name
            )
