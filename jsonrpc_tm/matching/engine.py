"""Many meta queries, compiled once and asked about one file after the other.

A set of queries is one big integer, a bit for each query. A file's value is looked up once for all queries that ask
about its field: 10,000 queries take some microseconds a file, and memory in proportion to the values in them.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain, groupby
from operator import attrgetter, or_
from typing import Any

from ..core.model import FieldType
from .query import ANY, MISSING, Condition, Fields, Key, Query, read

_PARTS = 512
"""A set of more than a 512th of the queries is kept as an integer, a smaller one as a list: none takes much memory."""
_FEW = 32
"""Bits that are looked for one by one; of more, all are read."""
Bound = tuple[Any, bool]
"""A bound, and whether a value that is equal to it is above it for an upper one, or still below for a lower one."""


class Engine:
    """Queries that are asked about many files. It never changes, so threads may share it.

    :param queries: validated queries by key.
    :param declared: the catalog's fields and their types.
    """

    def __init__(self, queries: Mapping[int, Query], declared: Fields) -> None:
        self._keys = list(queries)
        asked: dict[str, _Asked] = defaultdict(_Asked)
        for position, query in enumerate(queries.values()):
            for name, conditions in groupby(query.conditions(declared), attrgetter("field")):
                asked[name].add(position, list(conditions))
        number = len(self._keys)
        self._all = (1 << number) - 1
        fields = [_Field(name, declared.get(name), one, number) for name, one in asked.items()]
        # the most selective first: often nothing is left for the others
        self._fields = [(field.name, field.fulfilled) for field in sorted(fields, key=attrgetter("expected"))]

    def matching(self, metadata: Mapping[str, Any]) -> list[int]:
        """Return the keys of the queries that a file with *metadata* fulfils, in the order given."""
        left = self._all
        for name, fulfilled in self._fields:
            left &= fulfilled(metadata.get(name))
            if not left:
                return []
        return [self._keys[position] for position in _positions(left)]


class _Asked:
    """What queries ask about one field."""

    def __init__(self) -> None:
        self.everybody: list[int] = []
        self.missing: list[int] = []
        self.any: list[int] = []
        self.having: dict[Key, list[int]] = defaultdict(list)
        self.otherwise: list[int] = []
        self.excluding: dict[Key, list[int]] = defaultdict(list)
        self.lower: dict[str, list[tuple[Bound, int]]] = defaultdict(list)
        self.upper: dict[str, list[tuple[Bound, int]]] = defaultdict(list)

    def add(self, position: int, conditions: Sequence[Condition]) -> None:
        """Add the conditions of one query, all of which must hold. One that never holds leaves no trace but the first.

        Where there is a list of values, those that fulfil all conditions are looked for now.
        """
        self.everybody.append(position)
        if conditions[0].operator in (MISSING, ANY):
            (self.missing if conditions[0].operator == MISSING else self.any).append(position)
        elif lists := [one.keys or () for one in conditions if one.operator == "in"]:
            for key in dict.fromkeys(lists[0]):
                if all(one.holds(key) for one in conditions):
                    self.having[key].append(position)
        elif all(one.keys and (one.operator == "nin" or one.keys[0][0] != "boolean") for one in conditions):
            self.otherwise.append(position)
            for one in conditions:
                self._leave_out(position, one.operator, one.keys or ())

    def _leave_out(self, position: int, operator: str, keys: Sequence[Key]) -> None:
        if operator == "nin":
            for key in dict.fromkeys(keys):
                self.excluding[key].append(position)
        else:
            kind, bound = keys[0]
            bounds = self.upper if operator[0] == "<" else self.lower
            bounds[kind].append(((bound, operator in ("<=", ">")), position))


class _Field:
    """Which queries a value of one field fulfils; those that do not ask about the field are always among them.

    :param number: of queries.
    """

    def __init__(self, name: str, kind: FieldType | None, asked: _Asked, number: int) -> None:
        self.name = name
        self._kind = kind
        silent = (1 << number) - 1 & ~_mask(asked.everybody)
        self._absent = silent | _mask(asked.missing)
        self._unreadable = silent | _mask(asked.any)
        self._readable = self._unreadable | _mask(asked.otherwise)
        few = number // _PARTS
        self._having = {key: _kept(positions, few) for key, positions in asked.having.items()}
        self._excluding = {key: _kept(positions, few) for key, positions in asked.excluding.items()}
        ordered = {
            kind: _mask(position for _, position in chain(asked.lower[kind], asked.upper[kind]))
            for kind in [*asked.lower, *asked.upper]
        }
        self._ordered = reduce(or_, ordered.values(), 0)
        self._kinds = {
            kind: (
                # a query with bounds of two kinds is in both
                reduce(or_, (mask for other, mask in ordered.items() if other != kind), 0),
                _Bounds(asked.lower[kind], few, below=True),
                _Bounds(asked.upper[kind], few, below=False),
            )
            for kind in ordered
        }
        lists = sum(map(len, asked.having.values())) / (len(asked.having) or 1)
        self.expected = self._readable.bit_count() + lists
        """About how many queries a value fulfils."""

    def fulfilled(self, value: Any) -> int:
        """Return the queries that a file's value fulfils.

        :param value: None where the file has none.
        """
        if value is None:
            return self._absent
        key = read(value, self._kind)
        if key is None:
            return self._unreadable
        found = self._readable
        if key in self._excluding:
            found &= ~_of(self._excluding[key])
        if self._ordered:
            bounds = self._kinds.get(key[0])
            if bounds is None:
                found &= ~self._ordered
            else:
                others, lower, upper = bounds
                found &= ~(others | lower.broken_by(key[1]) | upper.broken_by(key[1]))
        if key in self._having:
            found |= _of(self._having[key])
        return found


class _Bounds:
    """Bounds of one kind in order.

    :param bounds: with the positions of their queries.
    :param few: see ``_kept``.
    :param below: whether they are lower bounds.
    """

    def __init__(self, bounds: Sequence[tuple[Bound, int]], few: int, *, below: bool) -> None:
        self._below = below
        in_order = sorted(bounds)
        self._bounds = [bound for bound, _ in in_order]
        self._positions = [position for _, position in in_order]
        if below:
            self._positions.reverse()
        self._step = few + 1
        # the queries of the first 0, 1, 2, … steps
        self._masks = [0]
        for start in range(0, len(self._positions), self._step):
            self._masks.append(self._masks[-1] | _mask(self._positions[start : start + self._step]))

    def broken_by(self, value: Any) -> int:
        """Return the queries whose bound a value does not keep."""
        number = bisect_right(self._bounds, (value, False))
        if self._below:
            number = len(self._bounds) - number
        steps, more = divmod(number, self._step)
        found = self._masks[steps]
        return found | _of(self._positions[number - more : number]) if more else found


def _mask(positions: Iterable[int]) -> int:
    """Return the integer with the bits at *positions* set: made at once, for each change would copy it."""
    listed = list(positions)
    octets = bytearray(max(listed, default=0) // 8 + 1)
    for position in listed:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")


def _kept(positions: Sequence[int], few: int) -> int | tuple[int, ...]:
    """Return a set in the form in which it takes less memory."""
    return tuple(positions) if len(positions) <= few else _mask(positions)


def _of(positions: int | Sequence[int]) -> int:
    return positions if isinstance(positions, int) else reduce(or_, (1 << position for position in positions))


def _positions(mask: int) -> Iterator[int]:
    """Yield the bits that are set, in ascending order."""
    if mask.bit_count() > _FEW:
        yield from (position for position, bit in enumerate(reversed(f"{mask:b}")) if bit == "1")
        return
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
