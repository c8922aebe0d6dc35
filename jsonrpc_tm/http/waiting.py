"""Connections that wait: no address holds more than some of them, whether or not they ever say anything."""

import asyncio
from collections.abc import Mapping
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


class Accepted:
    """A connection as it was accepted; its handshake may not have begun.

    :param address: of the peer, in the normal form; None where it has none.
    """

    __slots__ = ("_beside", "_ended", "_transport", "address", "conversation")

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self.conversation: Conversation | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._beside: dict[Accepted, None] | None = None
        self._ended = False

    def place(self, beside: "dict[Accepted, None]") -> None:
        """Count the connection among others."""
        self._beside = beside
        beside[self] = None

    def begin(self, transport: asyncio.WriteTransport) -> None:
        """Take note of what carries the connection, below TLS."""
        self._transport = transport
        if self._ended:
            transport.abort()

    def end(self) -> None:
        """End it, whatever is on its way."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    def left(self) -> None:
        """Count it no more."""
        if self._beside is not None:
            self._beside.pop(self, None)

    def unsent(self, transport: asyncio.WriteTransport) -> int:
        """Return how many bytes wait for the peer: in *transport*, which HTTP writes to, and below it."""
        below = self._transport
        waiting = transport.get_write_buffer_size()
        return waiting if below is None or below is transport else waiting + below.get_write_buffer_size()

    @property
    def waits(self) -> bool:
        """Whether no request is there."""
        return self.conversation is None or not self.conversation.busy

    @property
    def unused(self) -> bool:
        """Whether there never was one."""
        return self.conversation is None or not self.conversation.used


class Waiting:
    """The connections of a server by address.

    :param settings: ``limits.idle_connections`` is the most of one address, 0 for any number; ``server.balancers`` are
        not counted, since they wait for others.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._places: dict[str, dict[Accepted, None]] = {}

    def admit(self, peer: Any) -> Accepted:
        """Return a connection that was just accepted, counted. Of those that wait too long the oldest is ended.

        :param peer: its address, as the socket tells it.
        """
        if not isinstance(peer, tuple):
            return Accepted()
        address = normal(peer[0])
        made = Accepted(address)
        most: int = self._settings["limits.idle_connections"]
        if most and not within(address, self._settings["server.balancers"]):
            place = subscriber(address)
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
        oldest.end()
