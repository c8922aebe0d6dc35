"""What methods and plugins see of a database: transactions with five verbs, run and retried by name."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .dialect import Dialect

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]
Parameters = Mapping[str, Any]


class Transaction(Protocol):
    """One open transaction. SQL has named parameters (``:name``) and no literals that contain a colon.

    Rows are dicts in the order of the select list. Dates are text, ``YYYY-MM-DD HH:MM:SS``, UTC.
    """

    dialect: Dialect

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; return the number of rows it matched (changed or not)."""

    async def executemany(self, sql: str, parameters: Sequence[Parameters]) -> int:
        """Run a statement once for each set of parameters; return the number of rows matched in all."""

    async def fetch_all(self, sql: str, parameters: Parameters = {}) -> list[Row]:
        """Return all rows."""

    async def fetch_one(self, sql: str, parameters: Parameters = {}) -> Row | None:
        """Return the first row, None without one."""

    async def fetch_value(self, sql: str, parameters: Parameters = {}) -> Any:
        """Return the first column of the first row, None without a row."""

    async def insert(self, sql: str, parameters: Parameters = {}) -> int:
        """Run an INSERT of one row; return the identifier the engine gave it."""


Body = Callable[Concatenate[Transaction, P], Awaitable[T]]


class Storage(Protocol):
    """A database. ``async with`` opens and closes it."""

    url: str
    dialect: Dialect

    async def __aenter__(self) -> "Storage":
        """Open the database, migrating it where the settings allow.

        :raises ConfigurationError: it cannot be opened, needs migrating, or is newer than this program.
        """

    async def __aexit__(self, *exc: object) -> None:
        """Finish what runs and close every connection."""

    async def run(self, name: str, body: Body[P, T], *args: P.args, read: bool = False, **kwargs: P.kwargs) -> T:
        """Run *body* as one transaction, retried as a whole when the engine asks for it.

        The body is called with the transaction and *args*; it must be safe to run twice and await nothing but
        the transaction's verbs. Returning commits, raising rolls back.

        :param name: name of the transaction in logs and statistics.
        :param read: the body only reads: it gets a consistent snapshot and may run beside the writer.
        :raises StorageUnavailable: gone or busy after all retries.
        """

    async def ready(self) -> None:
        """Return when the database answers.

        :raises StorageUnavailable: it does not.
        """


class StorageProvider(Protocol):
    """What a plugin hands over in ``register_storage``: one URL scheme."""

    scheme: str

    def open(self, url: str, *, migrate: bool | None, migrations: Iterable[Any], options: Mapping[str, Any]) -> Storage:
        """Return the storage of *url*, not yet opened.

        :param migrate: bring the schema up to date when opening; None for the engine's own default.
        :param migrations: migrations of plugins, after the core's.
        :param options: the settings below ``storage`` by their short names.
        """
