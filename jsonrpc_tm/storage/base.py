"""What methods and plugins see of a database: transactions of a few verbs, retried by name, and streams of rows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from .dialect import Dialect

T = TypeVar("T")
H = TypeVar("H")
Item = TypeVar("Item")
Row = dict[str, Any]
Parameters = Mapping[str, Any]
Batch = list[tuple[Any, ...]]
"""Rows, each a tuple in the order of the select list."""


@dataclass(frozen=True, slots=True)
class CallKey:
    """What a change is remembered by, see ``Transaction.claim``.

    :param name: digest of who calls and of the key that was given.
    :param digest: of what is called.
    :param now: when the call began, in the stored form.
    :param oldest: what was kept before is forgotten, in the stored form; empty where nothing is.
    """

    name: str
    digest: str
    now: str
    oldest: str


class Transaction(Protocol):
    """One open transaction.

    A verb takes one statement with named parameters (``:name``), no other colon before a letter, and no semicolon. Rows
    are dicts in the order of the select list. Dates are text, ``YYYY-MM-DD HH:MM:SS``, UTC.
    """

    dialect: Dialect

    async def execute(self, sql: str, parameters: Parameters = {}) -> int:
        """Run a statement; return the number of rows it matched (changed or not)."""

    async def executemany(self, sql: str, parameters: Sequence[Parameters]) -> int:
        """Run a statement once for each set of parameters; return the number of rows matched in all."""

    async def fetch_all(self, sql: str, parameters: Parameters = {}) -> list[Row]:
        """Return all rows."""

    async def fetch_rows(self, sql: str, parameters: Parameters = {}) -> Batch:
        """Return all rows as tuples."""

    async def fetch_one(self, sql: str, parameters: Parameters = {}) -> Row | None:
        """Return the first row, None without one."""

    async def fetch_value(self, sql: str, parameters: Parameters = {}) -> Any:
        """Return the first column of the first row, None without a row."""

    async def fetch_column(self, sql: str, parameters: Parameters = {}) -> list[Any]:
        """Return the first column of all rows."""

    async def insert(self, sql: str, parameters: Parameters = {}) -> int:
        """Run an INSERT of one row; return the identifier the engine gave it."""

    async def insert_texts(
        self, table: str, column: str, texts: Sequence[str], others: Parameters, identifier: str
    ) -> list[int]:
        """Insert a row for each text; return the identifiers that the engine gave them, which ascend.

        A text that another transaction has brought meanwhile keeps its row, whose identifier is returned.

        :param column: where the texts go: a unique key.
        :param texts: none twice, and none that this transaction knows to be there.
        :param others: further columns of all rows.
        :param identifier: the column of the identifiers.
        """

    async def soon(self, sql: str, parameters: Parameters | Sequence[Parameters] = {}) -> None:
        """Run a statement whose result nobody needs, at once or together with the next one, as suits the engine.

        What follows sees what it did. If it fails, the next verb or the transaction does.

        :param parameters: as for ``execute``, or a list of them as for ``executemany``.
        """

    async def last(self, sql: str, parameters: Parameters | Sequence[Parameters] = {}) -> None:
        """Run a statement whose result nobody needs, at once or together with COMMIT, as suits the engine.

        Several of them keep their order. What the body does afterwards must not depend on them, nor touch their rows.

        :param parameters: as for ``execute``, or a list of them as for ``executemany``.
        """

    async def aside(self, size: int, function: Callable[..., T], *args: Any) -> T:
        """Return what a function returns that works on rows and touches nothing else, where it keeps nobody waiting.

        :param size: how many rows; few are worked on at once.
        """

    async def claim(self, key: CallKey) -> str | None:
        """Claim a key as the first thing that a transaction does; ``storage.keys.keep`` then writes its result.

        :return: the result that is kept under the key already, as JSON text: there is nothing to do. None: the key is
            this transaction's, and becomes nobody's when it is rolled back.
        :raises Conflict: another transaction has claimed the key and not ended (``storage.keys.KeyInUse``), or it was
            used for another call.
        """


CHUNK = 5000
"""The longest list that one statement gets."""


def chunks(values: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    """Yield *values* in pieces that one statement may take."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


async def exclude_other_nodes(tx: Transaction, names: Iterable[str]) -> None:
    """Make the locks that *tx* holds exclude transactions on the other nodes of a cluster too.

    Those know nothing of each other's locks. Writing the same row is what they notice: of two that write a name at the
    same time one commits, and the other runs again. So do this after locking, and read afterwards.

    :param names: what is locked, the same words wherever it is.
    """
    if tx.dialect.cluster_lock:
        await tx.execute(tx.dialect.cluster_lock, {"names": tx.dialect.pack(sorted(names))})


async def one_at_a_time(tx: Transaction, name: str) -> None:
    """Let no two transactions go on from here until the first has ended, on whatever nodes of a cluster.

    :param name: what they take, the same word wherever it is.
    """
    if tx.dialect.claim:
        await tx.execute(tx.dialect.claim, {"name": name})


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT that has not run yet."""

    sql: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """The state of a database's schema.

    :param present: version by owner (the core is ``jsonrpc_tm``, the others are plugins); empty when blank.
    :param wanted: version by owner that this program wants.
    :param pending: steps that ``upgrade`` would do.
    :param differences: sentences on tables and columns that are missing though the version says otherwise.
    :param dump: the database's own CREATE statements.
    """

    present: Mapping[str, int]
    wanted: Mapping[str, int]
    pending: Sequence[str]
    differences: Sequence[str]
    dump: Sequence[str]


class Storage(Protocol):
    """A database. ``async with`` opens and closes it."""

    url: str

    async def __aenter__(self) -> "Storage":
        """Open the database, migrating it where the settings allow.

        :raises ConfigurationError: it cannot be opened, needs migrating, or is newer than this program.
        """

    async def __aexit__(self, *exc: object) -> None:
        """Finish what runs and close every connection."""

    async def run(
        self,
        name: str,
        body: Callable[..., Awaitable[T]],
        *args: Any,
        read: bool = False,
        caller: str = "",
        **kwargs: Any,
    ) -> T:
        """Run *body* as one transaction, retried as a whole when the engine asks for it.

        The body is called with the transaction, *args* and *kwargs*; it must be safe to run twice and await nothing but
        the transaction's verbs. Returning commits, raising rolls back.

        A caller that is cancelled takes its transaction with it, as long as that can be called back; each engine says
        until when. Then it goes on to its end without the caller, and closing the storage waits for it. A statement
        that only reads is ended with its caller.

        :param name: name of the transaction in logs and statistics.
        :param read: the body only reads: it gets a consistent snapshot and may run beside the writer.
        :param caller: on whose behalf (``Context.caller``): nobody's reads keep another's from the database.
        :raises StorageUnavailable: gone or busy after all retries; at once where it is known to be gone.
        """

    def stream(
        self,
        name: str,
        open: Callable[[Transaction], Awaitable[tuple[H, Select]]],
        size: int = 2000,
        caller: str = "",
    ) -> AbstractAsyncContextManager[tuple[H, AsyncIterator[Batch]]]:
        """Read the rows of a query in batches, in constant memory, all on one snapshot.

        The context gives the head and the batches. Leaving it early, by cancellation too, ends the query at once.
        It is run again only before the first batch. While it lasts it does not keep ``run`` from its connections.

        :param open: given a transaction that only reads, returns a head and the query; both see one snapshot. As with
            ``run`` it may be called twice and awaits nothing but verbs.
        :param size: rows of a batch, but the last one; with no rows there is no batch.
        :param caller: as for ``run``.
        :raises StorageUnavailable: as for ``run``; too many streams are open; or the reader took too long, see
            ``storage.streams``.
        """

    def streams_at_once(self, caller: str = "") -> bool:
        """Whether a stream that is asked for now begins without waiting, and leaves another place."""

    async def schema(self) -> "Schema":
        """Return what the database has and what this program wants of it. The storage need not be open.

        :raises ConfigurationError: it cannot be opened, or is newer than this program.
        """

    async def check(self) -> list[str]:
        """Return sentences on damage of the stored data; it reads all of them. The storage need not be open.

        :raises ConfigurationError: it cannot be opened.
        """

    async def upgrade(self) -> list[str]:
        """Migrate the database, making it where there is none; return the steps done. The storage must not be open.

        :raises ConfigurationError: see ``schema``.
        """

    @property
    def trouble(self) -> str | None:
        """What keeps the database from serving at present, as a sentence for people; None when nothing is known.

        It is what calls have found out, and is told without asking the database or waiting: for readiness.
        """

    async def ready(self) -> None:
        """Return when the database answers. It does not wait for those who read, however many do.

        :raises StorageUnavailable: it does not.
        """


class StorageProvider(Protocol):
    """What a plugin hands over in ``register_storage``: one URL scheme."""

    scheme: str

    def open(self, url: str, *, migrate: bool | None, migrations: Iterable[Any], options: Mapping[str, Any]) -> Storage:
        """Return the storage of *url*, not yet opened.

        :param migrate: bring the schema up to date when opening; None for the engine's own default.
        :param migrations: migrations of plugins, after the core's.
        :param options: the settings below ``storage`` by their short names, and ``folder``, the Path that relative
            files are relative to.
        """

    def scratch(self, url: str, label: str, options: Mapping[str, Any]) -> AbstractAsyncContextManager[str]:
        """Return a context manager that gives the URL of an empty database beside *url*, and drops it in the end.

        The database *url* itself is left as it is.

        :param label: goes into the name; it must be new.
        :param options: as for ``open``.
        :raises ConfigurationError: it cannot be made.
        """
