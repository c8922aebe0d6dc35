"""What a method's handler gets: one small object, not the server's inside."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ..catalog.guard import GuardedCatalog
from ..core.errors import Forbidden, NotFound
from ..core.identity import Decision, Identity, Owner
from ..storage.base import Storage, Transaction, claim
from .method import Method

if TYPE_CHECKING:
    from ..catalog.base import Catalog
    from .service import Service

P = ParamSpec("P")
T = TypeVar("T")

# the columns in the order of Owner's fields
_OWNER = "SELECT TransformationID, TransformationName, Author, AuthorGroup, Type, Status FROM Transformations WHERE "


@dataclass(slots=True)
class Call:
    """One call of one method.

    :param service: the server it runs in (methods, settings, policy).
    :param method: the method called.
    :param identity: who calls.
    :param request_id: id of the request in answers and logs.
    :param now: the server's clock when the call began (UTC, aware, whole seconds).
    """

    service: "Service"
    method: Method
    identity: Identity
    request_id: str
    now: datetime
    log: logging.Logger
    authorised: bool = field(default=False, init=False)

    @property
    def storage(self) -> Storage:
        """The database."""
        return self.service.storage

    @property
    def catalog(self) -> "Catalog":
        """The file catalog; whatever goes wrong in it is a CatalogError."""
        return GuardedCatalog(self.service.catalog)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings by dotted name."""
        return self.service.settings

    @property
    def author(self) -> str:
        """The caller's name for log lines and new transformations."""
        return self.identity.username or "Unknown"

    @property
    def timestamp(self) -> str:
        """``now`` in the stored form, ``YYYY-MM-DD HH:MM:SS``."""
        return stamp(self.now)

    @property
    def readable(self) -> Mapping[str, Any] | None:
        """Which transformations the caller may read: a condDict, None for all (see Policy.readable)."""
        return self.service.policy.readable(self.identity)

    async def read(
        self, body: Callable[Concatenate[Transaction, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run *body* in a transaction that only reads."""
        return await self.storage.run(self.method.name, body, *args, read=True, **kwargs)

    async def write(
        self, body: Callable[Concatenate[Transaction, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run *body* in a transaction; it may run more than once."""
        return await self.storage.run(self.method.name, body, *args, read=False, **kwargs)

    async def change(
        self,
        trans: int | str,
        body: Callable[Concatenate[Transaction, Owner, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run *body* in a transaction on one transformation, with its row locked and the caller's right checked.

        :raises Forbidden: the caller has no right on it, or must not learn that it does not exist.
        :raises NotFound: it does not exist.
        """

        async def authorised(tx: Transaction) -> T:
            owner = await self.authorise(tx, trans)
            return await body(tx, owner, *args, **kwargs)

        return await self.storage.run(self.method.name, authorised)

    async def authorise(self, tx: Transaction, trans: int | str) -> Owner:
        """Lock the transformation's row and return its owner if the caller may change it.

        :raises Forbidden: see ``change``.
        :raises NotFound: see ``change``.
        """
        owner = await find(tx, trans, lock=True)
        policy = self.service.policy
        self.authorised = True
        if owner is None:
            if policy.may_probe(self.identity):
                raise NotFound(f"Transformation {trans!r} does not exist")
            decision = Decision(False, reason="it does not exist")
        else:
            decision = policy.may_change(self.identity, self.method.name, owner)
        if not decision.allowed:
            needs = decision.needs or policy.may_change(self.identity, self.method.name, _NOBODYS).needs
            # the same words whether it exists or not: names cannot be probed by writing; the note is for the audit
            error = Forbidden(f"You may not call {self.method.name} on {trans!r}", needs=list(needs))
            error.add_note(decision.reason)
            raise error
        assert owner is not None
        return owner

    async def find(self, tx: Transaction, trans: int | str) -> Owner:
        """Return the transformation *trans* (id or name) if the caller may read it.

        :raises NotFound: it does not exist, or reading it is not allowed.
        """
        owner = await find(tx, trans, readable=self.readable)
        if owner is None:
            raise NotFound(f"Transformation {trans!r} does not exist")
        return owner


_NOBODYS = Owner(0, "", "", "", "", "")


def stamp(moment: datetime) -> str:
    """Return *moment* (aware) in the stored form: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


async def find(
    tx: Transaction, trans: int | str, *, lock: bool = False, readable: Mapping[str, Any] | None = None
) -> Owner | None:
    """Return the owner's facts of a transformation by id or name, None where there is none.

    :param lock: hold the row until the transaction ends.
    :param readable: a condDict the row must fulfil.
    """
    from ..storage.where import Where  # conditions know tables, not calls

    column = "TransformationID" if isinstance(trans, int) else "TransformationName"
    where = Where(tx.dialect)
    where.equal(column, trans)
    if readable is not None:
        where.conditions("Transformations", readable)
    sql = _OWNER + where.text + (tx.dialect.for_update if lock else "")
    row = await tx.fetch_one(sql, where.parameters)
    if row is not None and lock:
        await claim(tx, [f"transformation {row['TransformationID']}"])
    return None if row is None else Owner(*row.values())
