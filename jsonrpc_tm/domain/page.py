"""Which rows a list method is asked for (section 5 of the specification)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.model import Table
from ..storage.where import Expressions, Where, fixed, invalid, limited, order_by
from .work import Work


@dataclass(frozen=True, slots=True)
class Page:
    """The parameters that list methods share, by their own names, as their fields load them."""

    condDict: Mapping[str, Any] | None = None
    older: str | None = None
    newer: str | None = None
    timeStamp: str | None = None
    orderAttribute: Sequence[str] | None = None
    limit: int | None = None
    offset: int | None = None
    after: Sequence[int] | None = None

    def clauses(self, work: Work, table: Table, columns: Expressions, prefix: str) -> tuple[Where, str]:
        """Return the WHERE clause over *table*, with what the caller may read, and ORDER BY.

        :param columns: what may be named, the key of *table* included.
        :param prefix: alias and dot of *table*.
        :raises InvalidParams: an unknown name, a value that does not fit; ``after`` with an order or an offset, or not
            the key asked for.
        """
        where = work.where(table, prefix)
        where.conditions(columns, self.condDict)
        where.bounds(columns, self.older, self.newer, self.timeStamp)
        if self.after is not None:
            if self.orderAttribute or self.offset:
                raise invalid("after", ["Not together with orderAttribute or offset."])
            one = len(table.key) == 2 and fixed((self.condDict or {}).get("TransformationID")) is not None
            key = table.key[1:] if one else table.key
            if len(self.after) != len(key):
                raise invalid("after", [f"Must be the last {' and '.join(key)} seen."])
            where.after([columns[name].sql for name in key], self.after)
        return where, order_by(columns, table.key, self.orderAttribute)

    def ending(self, columns: Expressions, table: Table) -> str:
        """Return ORDER BY, LIMIT and OFFSET.

        :raises InvalidParams: an unknown column.
        """
        return order_by(columns, table.key, self.orderAttribute) + limited(self.limit, self.offset)
