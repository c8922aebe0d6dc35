"""Matching thousands of files with thousands of meta queries.

A set of files is one big integer, a bit for each file. A condition looks its values up instead of going through the
files: 5,000 files and 3,000 queries take a tenth of a second.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from operator import or_
from typing import Any

from .query import ANY, MISSING, Condition, Fields, Key, Query, read


class Files:
    """Some thousand files that many queries are asked about; more are better asked about in parts.

    :param files: metadata by LFN.
    :param declared: the catalog's fields and their types.
    """

    def __init__(self, files: Mapping[str, Mapping[str, Any]], declared: Fields) -> None:
        self._files = files
        self._lfns = list(files)
        self._declared = declared
        self._fields: dict[str, _Field] = {}

    def matching(self, query: Query | Mapping[str, Any]) -> list[str]:
        """Return the LFNs that fulfil a validated query, in the order given."""
        chosen = (1 << len(self._lfns)) - 1
        for condition in (query if isinstance(query, Query) else Query(query)).conditions(self._declared):
            chosen &= self._field(condition.field).fulfilling(condition)
            if not chosen:
                return []
        return [lfn for lfn, bit in zip(self._lfns, reversed(f"{chosen:b}"), strict=False) if bit == "1"]

    def _field(self, name: str) -> "_Field":
        field = self._fields.get(name)
        if field is None:
            kind = self._declared.get(name)
            values = (self._files[lfn].get(name) for lfn in self._lfns)
            found = {position: read(value, kind) for position, value in enumerate(values) if value is not None}
            field = self._fields[name] = _Field(found)
        return field


class _Field:
    """Which files have which value of one field.

    :param found: the value by the file's position, None for one that cannot be read as the field's type.
    """

    def __init__(self, found: Mapping[int, Key | None]) -> None:
        positions: dict[Key | None, list[int]] = {}
        for position, key in found.items():
            positions.setdefault(key, []).append(position)
        self._there = _mask(found)
        self._readable = self._there & ~_mask(positions.pop(None, ()))
        self._having = {key: _mask(having) for key, having in positions.items() if key is not None}
        self._ordered: dict[str, tuple[list[Any], list[int]]] = {}

    def fulfilling(self, condition: Condition) -> int:
        """Return the files that fulfil a condition; for Missing a negative number: all others, without end."""
        if condition.operator == MISSING:
            return ~self._there
        if condition.operator == ANY:
            return self._there
        if condition.keys is None:
            return 0
        if condition.operator in ("in", "nin"):
            equal = 0
            for key in condition.keys:
                equal |= self._having.get(key, 0)
            return equal if condition.operator == "in" else self._readable & ~equal
        kind, bound = condition.keys[0]
        if kind == "boolean":
            return 0
        values, up_to = self._order(kind)
        if condition.operator in ("<", ">="):
            less = up_to[bisect_left(values, bound)]
        else:
            less = up_to[bisect_right(values, bound)]
        return less if condition.operator in ("<", "<=") else up_to[-1] & ~less

    def _order(self, kind: str) -> tuple[list[Any], list[int]]:
        """Return the values of a kind in order, and the files that have one of the first 0, 1, 2, … of them."""
        ordered = self._ordered.get(kind)
        if ordered is None:
            keys = sorted(key for key in self._having if key[0] == kind)
            up_to = [0, *accumulate((self._having[key] for key in keys), or_)]
            ordered = self._ordered[kind] = [key[1] for key in keys], up_to
        return ordered


def _mask(positions: Iterable[int]) -> int:
    """Return the integer with the bits at *positions* set: made at once, for each change would copy it."""
    listed = list(positions)
    octets = bytearray(max(listed, default=0) // 8 + 1)
    for position in listed:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")
