"""What callers say is cut where it would fill logs and messages, and error answers are bounded (SPEC 8.9)."""

from collections.abc import Mapping
from typing import Any

SHOWN = 200
"""Characters of a caller's text in the server's log, audit lines and messages."""
MOST = 1000
"""Values of one member of an error's data."""
# of what is cut in the middle: the end says what is wrong
_END = 60


def shortened(text: str, limit: int = SHOWN) -> str:
    """Return *text* as it is, or its beginning and ``...``, *limit* characters in all."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def abridged(sentence: str) -> str:
    """Return a sentence that may quote a caller, cut in its middle where it is long: ``SHOWN`` characters in all."""
    return sentence if len(sentence) <= SHOWN else f"{sentence[: SHOWN - 3 - _END]}...{sentence[-_END:]}"


def bounded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error's data with the first ``MOST`` values of each member.

    Values are kept whole. Where some were left out, ``counts`` has the numbers there were, by the member's name.
    """
    kept, counts = dict(data), {}
    for name, member in data.items():
        if isinstance(member, Mapping | list | tuple) and (number := _size(member)) > MOST:
            kept[name] = _first(member, [MOST])
            counts[name] = number
    return kept | {"counts": counts} if counts else kept


def _size(value: Any) -> int:
    """Return how many values there are at the ends of what *value* is made of."""
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return 1
    return sum(map(_size, value)) or 1


def _first(value: Any, left: list[int]) -> Any:
    """Return *value* without what comes after as many values as *left* says, which is counted down."""
    if isinstance(value, Mapping) and value:
        return {key: _first(part, left) for key, part in value.items() if left[0] > 0}
    if isinstance(value, list | tuple) and value:
        return [_first(part, left) for part in value if left[0] > 0]
    left[0] -= 1
    return value
