"""What was found in a database that is to be adopted."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .database import SourceColumn
from .definitions import NewTable
from .tables import TABLES, Adopted

EXAMPLES = 5
"""How many rows of a kind are shown, unless all are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the operator should know.

    :param code: a word for it.
    :param text: one sentence: what it is, and what becomes of it.
    :param examples: some of the rows, or all.
    :param blocking: nothing is done until it is mended.
    :param more: there are more than the examples.
    """

    code: str
    text: str
    examples: tuple[str, ...] = ()
    blocking: bool = False
    more: bool = False


@dataclass
class Survey:
    """What was found.

    :param everything: findings have all rows, not only examples.
    :param sources: the table that each adopted table is read from; those that the database lacks are left out.
    :param columns: the source's columns by adopted table, by the name that they get.
    :param plans: the new tables by name.
    :param rows: number of rows by adopted table.
    :param renamed: new names of transformations by id.
    :param authors: users by DN, where authors are derived.
    :param strangers: foreign keys of other tables that lead to adopted ones.
    :param left: tables that stay as they are.
    :param room: bytes that the old tables take.
    """

    everything: bool = False
    sources: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, SourceColumn]] = field(default_factory=dict)
    plans: dict[str, NewTable] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    renamed: dict[int, str] = field(default_factory=dict)
    authors: dict[str, str] = field(default_factory=dict)
    strangers: list[dict[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    room: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def blocking(self) -> list[Finding]:
        """What has to be mended first."""
        return [finding for finding in self.findings if finding.blocking]

    @property
    def blocked(self) -> bool:
        """Whether something has to be mended first."""
        return bool(self.blocking)

    @property
    def limit(self) -> str:
        """The LIMIT of a query for rows to be shown, and for one more, by which it is known that there are more."""
        return "" if self.everything else f" LIMIT {EXAMPLES + 1}"

    def tables(self) -> list[Adopted]:
        """Return the tables that are there to be taken over, parents first."""
        return [table for table in TABLES if table.name in self.sources]

    def lacks(self, table: str, column: str) -> bool:
        """Return whether a table is there, but not a column of it."""
        return table in self.columns and column not in self.columns[table]

    def own(self, table: str) -> dict[str, SourceColumn]:
        """Return the source's columns whose values are taken over, by the name they get."""
        return {name: column for name, column in self.columns[table].items() if not column.generated}

    def note(
        self, code: str, text: str, examples: Iterable[Any] = (), *, blocking: bool = False, whole: bool = False
    ) -> None:
        """Add a finding.

        :param whole: show all examples in any case.
        """
        shown = tuple(map(str, examples))
        more = len(shown) > EXAMPLES and not (whole or self.everything)
        self.findings.append(Finding(code, text, shown[:EXAMPLES] if more else shown, blocking, more))
