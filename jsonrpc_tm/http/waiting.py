"""Connections that wait: no address holds more than some of them, whether or not they ever say anything."""

import contextlib
import os
import socket
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from ..core.addresses import normal, subscriber, within


class Conversation(Protocol):
    """What is known of a connection once its protocol begins."""

    @property
    def busy(self) -> bool:
        """Whether a request is there."""

    @property
    def used(self) -> bool:
        """Whether there was ever one."""


class Accepted(socket.socket):
    """A connection as it was accepted; its handshake may not have begun."""

    address: str | None = None
    """Of the peer, in the normal form; None where it has none."""
    conversation: Conversation | None = None
    _beside: "dict[Accepted, None] | None" = None

    def place(self, beside: "dict[Accepted, None]") -> None:
        """Count the connection among others."""
        self._beside = beside
        beside[self] = None

    def close(self) -> None:
        """Close it."""
        super().close()
        if self._beside is not None:
            self._beside.pop(self, None)

    @property
    def waits(self) -> bool:
        """Whether no request is there."""
        return self.conversation is None or not self.conversation.busy

    @property
    def unused(self) -> bool:
        """Whether there never was one."""
        return self.conversation is None or not self.conversation.used


ACCEPTED: ContextVar[Accepted | None] = ContextVar("accepted", default=None)
"""The connection that is being made: asyncio does this, TLS included, in a task of its own for each."""


class Waiting:
    """The connections of a server by address.

    :param settings: ``limits.idle_connections`` is the most of one address, 0 for any number; ``server.balancers`` are
        not counted, since they wait for others.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._places: dict[str, dict[Accepted, None]] = {}

    def admit(self, connection: socket.socket, peer: Any) -> Accepted:
        """Return a connection that was just accepted, counted. Of those that wait too long the oldest is ended."""
        made = Accepted(connection.family, connection.type, connection.proto, fileno=connection.detach())
        ACCEPTED.set(made)
        if not isinstance(peer, tuple):
            return made
        made.address = normal(peer[0])
        most: int = self._settings["limits.idle_connections"]
        if most and not within(made.address, self._settings["server.balancers"]):
            place = subscriber(made.address)
            if len(self._places) > most and place not in self._places:
                self._places = {name: there for name, there in self._places.items() if there}
            there = self._places.setdefault(place, {})
            if len(there) >= most:
                _make_room(there, most)
            made.place(there)
        return made


def _make_room(there: dict[Accepted, None], most: int) -> None:
    """End one that waits if as many as *most* do: the oldest of those that were never used, else of all."""
    waiting = [one for one in there if one.waits]
    if len(waiting) >= most:
        oldest = next((one for one in waiting if one.unused), waiting[0])
        del there[oldest]
        # what belongs to it sees the end, and closes it
        with contextlib.suppress(OSError):
            oldest.shutdown(socket.SHUT_RDWR)


class Accepting(socket.socket):
    """A listening socket that says whom it accepted, and whose connections are counted."""

    _waiting: Waiting

    @classmethod
    def of(cls, bound: socket.socket, waiting: Waiting) -> "Accepting":
        """Return a copy of a listening socket; both must be closed.

        :param waiting: counts what is accepted.
        """
        made = cls(fileno=os.dup(bound.fileno()))
        made._waiting = waiting
        return made

    def accept(self) -> tuple[Accepted, Any]:
        """Return a connection and the address of its peer."""
        connection, address = super().accept()
        return self._waiting.admit(connection, address), address
