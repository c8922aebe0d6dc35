"""One transaction on behalf of a call: what every function of this room gets."""

import functools
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..core.context import Context
from ..core.errors import Forbidden, NotFound
from ..core.events import Event
from ..core.identity import Decision, Policy, Transformation
from ..core.model import TRANSFORMATIONS, Table
from ..core.records import StatusRule
from ..core.state_machines import DEFAULT_MACHINES, MachineKind, StateMachine
from ..settings import Settings
from ..storage.base import Transaction, chunks, exclude_other_nodes
from ..storage.dialect import Dialect
from ..storage.where import Where, expressions
from . import active_queries, counters, event_log
from .active_queries import ActiveQueries
from .counters import Counted

P = ParamSpec("P")
T = TypeVar("T")

LISTED = 1000
"""The most identifiers that an event lists."""
# in the order of the fields of Transformation
_FACTS = "t.TransformationID, t.TransformationName, t.Author, t.AuthorGroup, t.Type, t.Status"
_NOBODYS = Transformation(0, "", "", "", "", "")
_GRANT = object()


@dataclass(frozen=True, slots=True)
class DomainParts:
    """What the rules of this room depend on.

    :param status_rules: of plugins.
    :param queries: what this process has compiled of the database's.
    :param machines: the state machine of each kind.
    """

    settings: Settings
    policy: Policy
    status_rules: tuple[StatusRule, ...] = ()
    queries: ActiveQueries = field(default_factory=ActiveQueries)
    machines: Mapping[MachineKind, StateMachine] = field(
        default_factory=lambda: {machine.kind: machine for machine in DEFAULT_MACHINES}
    )


@dataclass(frozen=True, slots=True)
class Held(Transformation):
    """A transformation whose row this transaction has locked, and which the call may change.

    Only ``Work`` makes one: whoever has it has asked for the right. Every function that changes a transformation takes
    one, so that nobody forgets to ask.

    :param shared: others may hold it too, also shared: enough for who changes files or tasks that it locks itself.
    """

    shared: bool = False
    grant: InitVar[object] = None

    def __post_init__(self, grant: object) -> None:
        if grant is not _GRANT:
            raise TypeError("only Work.hold() gives out a Held: it locks the row and checks the right")


def changing(
    function: Callable[Concatenate["Work", Held, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Work", Held, P], Coroutine[Any, Any, T]]:
    """Let a function that changes a transformation refuse one that nobody holds: the right on it was not asked."""

    @functools.wraps(function)
    async def checked(work: "Work", trans: Held, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not isinstance(trans, Held):
            raise TypeError(
                f"{function.__name__} takes what work.hold() gives, which asks for the right, not {trans!r:.100}"
            )
        return await function(work, trans, *args, **kwargs)

    return checked


class Work:
    """A transaction, and on whose behalf it runs. A new one for every attempt.

    :param tx: the open transaction.
    :param action: the method called, for the policy.
    :param logs: whether changes leave lines in TransformationLog.
    """

    __slots__ = ("action", "context", "counts", "dialect", "events", "logs", "parts", "requeried", "tx")

    def __init__(self, tx: Transaction, context: Context, parts: DomainParts, action: str) -> None:
        self.tx = tx
        self.dialect: Dialect = tx.dialect
        self.context = context
        self.parts = parts
        self.action = action
        self.logs = True
        self.events: list[Event] = []
        self.counts: Counter[tuple[int, Counted, str]] = Counter()
        self.requeried: set[int] = set()
        """Transformations whose Input queries count from now on, or no more, or are others."""

    async def hold(self, trans: int | str, *, shared: bool = False) -> Held:
        """Lock a transformation's row and return it if the caller may change it.

        :param trans: id or name.
        :param shared: see ``Held``. Who holds it so must not hold it otherwise afterwards: two of them would wait for
            each other.
        :raises Forbidden: the caller has no right on it, or must not learn that it does not exist.
        :raises NotFound: it does not exist.
        """
        policy, identity = self.parts.policy, self.context.identity
        lock = self.dialect.for_share if shared else self.dialect.for_update
        found = await self._find(_named(Where(self.dialect), trans), lock)
        if found is None:
            if policy.may_probe(identity):
                raise unknown(trans)
            decision = Decision(False, reason="it does not exist")
        else:
            await exclude_other_nodes(self.tx, [f"transformation {found['TransformationID']}"])
            decision = policy.may_change(identity, self.action, Transformation(*found.values()))
        if found is None or not decision.allowed:
            needs = decision.needs or policy.may_change(identity, self.action, _NOBODYS).needs
            # the same words whether it exists or not: names cannot be probed by writing; the note is for the audit
            error = Forbidden(f"You may not call {self.action} on {trans!r}, or it does not exist", needs=list(needs))
            error.add_note(decision.reason)
            raise error
        return _held(found.values(), shared)

    async def hold_wanting(self, ids: Iterable[int]) -> list[Held]:
        """Lock transformations that take what the catalog announces, or lose what it has no more; no right is asked.

        :return: those that exist, by ascending id.
        """
        dialect = self.dialect
        source = f"{dialect.array('ids', 'int')} AS wanted {dialect.straight_join} Transformations t{dialect.by_key}"
        sql = f"SELECT {_FACTS} FROM {source} ON t.TransformationID = wanted.value ORDER BY t.TransformationID"
        held: list[Held] = []
        for chunk in chunks(sorted(set(ids))):
            rows = await self.tx.fetch_all(sql + self.dialect.for_update, {"ids": self.dialect.pack(chunk)})
            held += await self.tx.aside(len(rows), lambda rows=rows: [_held(row.values()) for row in rows])
        await exclude_other_nodes(self.tx, [f"transformation {one.id}" for one in held])
        return held

    async def hold_allowed(self, ids: Iterable[int]) -> tuple[dict[int, Held], set[int]]:
        """Lock transformations, those that the caller may change and others.

        :return: the former by id, and the ids of the others; one that does not exist is in neither.
        """
        held = {one.id: one for one in await self.hold_wanting(ids)}
        forbidden = {one.id for one in held.values() if not self._may_change(one)}
        return {trans_id: one for trans_id, one in held.items() if trans_id not in forbidden}, forbidden

    async def changeable(self, ids: Sequence[int]) -> set[int]:
        """Return the ids of those transformations that the caller may change, without locking them."""
        source = f"{self.dialect.array('ids', 'int')} AS wanted {self.dialect.straight_join} Transformations t"
        sql = f"SELECT {_FACTS} FROM {source} ON t.TransformationID = wanted.value"
        found: set[int] = set()
        for chunk in chunks(ids):
            rows = await self.tx.fetch_all(sql, {"ids": self.dialect.pack(chunk)})
            seen = (Transformation(*row.values()) for row in rows)
            found.update(one.id for one in seen if self._may_change(one))
        return found

    def _may_change(self, trans: Transformation) -> bool:
        return self.parts.policy.may_change(self.context.identity, self.action, trans).allowed

    def hold_new(self, trans_id: int, values: Mapping[str, Any]) -> Held:
        """Return a transformation that this transaction has just inserted: nobody else sees its row yet.

        :param values: its row, by column.
        """
        columns = ("TransformationName", "Author", "AuthorGroup", "Type", "Status")
        return _held((trans_id, *(values.get(column, "") for column in columns)))

    async def seen(self, trans: int | str) -> Transformation:
        """Return a transformation that the caller may read.

        :param trans: id or name.
        :raises NotFound: it does not exist, or reading it is not allowed.
        """
        found = await self._find(self.named(trans))
        if found is None:
            raise unknown(trans)
        return Transformation(*found.values())

    async def _find(self, where: Where, tail: str = "") -> Mapping[str, Any] | None:
        sql = f"SELECT {_FACTS} FROM Transformations t WHERE {where.text}{tail}"
        return await self.tx.fetch_one(sql, where.parameters)

    @property
    def readable(self) -> Mapping[str, Any] | None:
        """Which transformations the caller may read: a condDict, None for all (see ``Policy.readable``)."""
        return self.parts.policy.readable(self.context.identity)

    def named(self, trans: int | str) -> Where:
        """Return a clause over ``Transformations t`` that keeps one, if the caller may read it.

        :param trans: id or name.
        """
        return _named(self.where(TRANSFORMATIONS, "t."), trans)

    def where(self, table: Table, prefix: str = "", name: str = "where") -> Where:
        """Return a clause over *table* that keeps what the caller may read, ready for further conditions.

        A file of ``DataFiles`` is for those who may read a transformation that has it.

        :param prefix: alias and dot of *table*.
        :param name: start of the parameters' names; two clauses in one statement need two.
        """
        where = Where(self.dialect, name)
        if (readable := self.readable) is not None:
            if table is TRANSFORMATIONS:
                where.conditions(expressions(table, prefix), readable)
            elif "TransformationID" in table.columns:
                where.within(f"{prefix}TransformationID", readable)
            else:
                theirs = Where(self.dialect, f"{name}_theirs")
                theirs.within("TransformationID", readable)
                having = f"SELECT FileID FROM TransformationFiles WHERE {theirs.text}"
                where.add(f"{prefix}FileID IN ({having})", **theirs.parameters)
        return where

    def count(self, kind: Counted, trans_id: int, status: str, number: int) -> None:
        """Note that a transformation has more files or tasks with a status than before, or fewer."""
        self.counts[trans_id, kind, status] += number

    async def settle(self) -> None:
        """Write the counters, what others know of changed queries, and the events; the last thing in a transaction."""
        await counters.write(self.tx, self.context.now, self.counts)
        await active_queries.write(self.tx, self.requeried)
        await event_log.write(self.tx, self.events)

    def emit(self, type: str, trans: Held | None, /, **data: Any) -> None:
        """Tell of a change when it is committed; not at all when it is not. One event a call, type and transformation.

        :param type: one of ``EVENT_TYPES``, or a plugin's own word with its prefix.
        :param trans: the transformation; None where several are concerned.
        :param data: the event's ``data``; what is said again is added. Of ``ids`` the first 1,000 are told.
        """
        concerned = None if trans is None else trans.id
        for event in self.events:
            if event.type == type and event.transformation == concerned:
                data = _together(event.data, data)
                self.events.remove(event)
                break
        if "ids" in data:
            data["ids"] = list(data["ids"][:LISTED])
        context = self.context
        self.events.append(Event(type, concerned, data, context.author, context.request_id, context.now))


def _together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two events of one type say together: numbers add up, also those by status, and lists go on.

    Identifiers that only one of them has would look complete: they are left out.
    """
    both: dict[str, Any] = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], int):
            both[name] = one[name] + other[name]
        elif isinstance(one[name], list):
            both[name] = [*one[name], *other[name]]
        elif isinstance(one[name], dict):
            both[name] = dict(Counter(one[name]) + Counter(other[name]))
    if ("ids" in one) != ("ids" in other):
        del both["ids"]
    return both


def _held(facts: Iterable[Any], shared: bool = False) -> Held:
    trans_id, name, author, group, kind, status = facts
    return Held(trans_id, name, author, group, kind, status, shared, _GRANT)


def _named(where: Where, trans: int | str) -> Where:
    where.equal("t.TransformationID" if isinstance(trans, int) else "t.TransformationName", trans)
    return where


def unknown(trans: int | str) -> NotFound:
    """Return the error about a transformation that does not exist, or that the caller may not read."""
    return NotFound(f"Transformation {trans!r} does not exist", what="transformation")
