"""What is odd about a meta query that is well-formed: conditions that no file fulfils, and slips."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.spelling import suggestion
from .query import ANY, FORMS, MISSING, ORDER_OPERATORS, Condition, Fields, conditions_of, read

_WORDS = {word.casefold(): word for word in (MISSING, ANY)}
_SHOWN = 80
"""The longest text of a value, in characters, that is shown."""


def doubts(query: Mapping[str, Any], declared: Fields) -> list[str]:
    """Return a sentence for each condition of a query that cannot hold, or hardly means what it says.

    :param query: a validated query.
    :param declared: the catalog's fields and their types.
    """
    found = []
    for field, asked in query.items():
        if field not in declared and (meant := suggestion(field, declared)):
            found.append(f"the catalog declares no field {_shown(field)}{meant}")
        if asked not in (MISSING, ANY):
            found += (f"{_shown(field)}: {doubt}" for doubt in _of_field(field, asked, declared))
    return found


def _of_field(field: str, asked: Any, declared: Fields) -> Iterator[str]:
    kind = declared.get(field)
    conditions = list(conditions_of(field, asked, kind))
    values = [value for condition in conditions for value in _values(condition)]
    for value in values:
        if type(value) is str and (word := _WORDS.get(value.casefold())):
            yield f"{_shown(value)} is a value like any other here; only {word} alone, so written, is more than that"
    if kind is not None and (unreadable := [value for value in values if read(value, kind) is None]):
        yield f"{_shown(unreadable[0])} is no {kind}, such as {FORMS[kind]}: the condition never holds"
    elif not _possible(conditions):
        yield "no value fulfils all of its conditions"


def _values(condition: Condition) -> list[Any]:
    return condition.asked if type(condition.asked) is list else [condition.asked]


def _possible(conditions: Sequence[Condition]) -> bool:
    """Whether some value may fulfil all conditions on one field, whose values are readable."""
    sets = [condition.keys or () for condition in conditions if condition.operator == "in"]
    if sets:
        return any(all(condition.holds(key) for condition in conditions) for key in sets[0])
    bounds = [(one.operator, one.keys[0]) for one in conditions if one.operator in ORDER_OPERATORS and one.keys]
    kinds = {kind for _, (kind, _) in bounds}
    if len(kinds) > 1 or "boolean" in kinds:
        return False
    lower = [(value, operator == ">") for operator, (_, value) in bounds if operator in (">", ">=")]
    upper = [(value, operator != "<") for operator, (_, value) in bounds if operator in ("<", "<=")]
    if not lower or not upper:
        return True
    (low, above), (high, included) = max(lower), min(upper)
    return bool(low < high or (low == high and included and not above))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
