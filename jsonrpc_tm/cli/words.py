"""Errors of a server in words, for people at a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import TMError
from ..settings.loading import flat

_SHOWN = 10
"""Most items of a list that are shown."""


def in_words(error: TMError) -> list[str]:
    """Return what went wrong and why, a line each; the last line has what a log or a bug report needs.

    Members of ``data`` that the message tells already are left out. Characters that would move a terminal's cursor or
    change its colours are escaped: texts of a server are other people's.
    """
    message = error.message.rstrip(".") or "The server gave no message"
    data = {key: value for key, value in error.data.items() if value not in (None, [], {}, "")}
    request, retryable = data.pop("request_id", None), data.pop("retryable", False)
    unknown = data.pop("outcome", None) == "unknown"
    data.pop("what", None)  # the message says it in a sentence
    lines = [f"Error: {message}.", *(f"  {line}" for line in _reasons(message, data))]
    if unknown:
        lines.append("  Nobody can tell whether it was done: look before you call again.")
    elif retryable:
        lines.append("  Nothing was changed; calling again later may help.")
    lines.append(f"  ({error.type}, code {error.code}" + (f", request {request})" if request else ")"))
    return [printable(line) for line in lines]


def printable(text: str) -> str:
    """Return *text* with control characters escaped, in one line."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _reasons(message: str, data: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in data.items():
        match name:
            case "errors" if isinstance(value, Mapping):
                for keys, text in flat(value):
                    if text.rstrip(".") not in message:
                        lines.append(f"{'.'.join(map(str, keys))}: {text}")
            case "did_you_mean":
                lines.append(f"Did you mean {value}?")
            case "needs" if isinstance(value, list):
                if any(str(item) not in message for item in value):
                    lines.append(f"It needs {' or '.join(map(str, value))}.")
            case _:
                text = _shown(value)
                if text not in message:
                    lines.append(f"{name.replace('_', ' ')}: {text}")
    return lines


def _shown(value: Any) -> str:
    match value:
        case str() | int() | float():
            return str(value)
        case Mapping():
            return _first([f"{key}: {_shown(item)}" for key, item in value.items()])
        case Sequence():
            return _first([_shown(item) for item in value])
        case _:
            return repr(value)


def _first(texts: Sequence[str]) -> str:
    more = f", … and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
