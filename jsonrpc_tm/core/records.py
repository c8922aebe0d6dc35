"""What the server tells plugins, and what plugins hand over: plain records."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from .errors import ConfigurationError
from .identity import Identity, Rule


class CallRecord(NamedTuple):
    """One call with its outcome, refused ones too. (A tuple, since one is made for each call: a third of the time.)

    :param outcome: ``ok`` or the error's ``data.type``.
    :param reason: the error's message; empty for ``ok``.
    :param duration: seconds.
    :param changes: whether the method changes something (false for an unknown one).
    :param address: of the caller; of the balancer, behind one that ``server.balancers`` does not list; None without a
        network.
    """

    method: str
    target: int | str | None
    identity: Identity
    request_id: str
    outcome: str
    reason: str
    duration: float
    changes: bool
    time: datetime
    address: str | None = None


@dataclass(frozen=True, slots=True)
class StatusRule:
    """Restricts changes of a status.

    :param kind: whose status.
    :param check: given the old (None for a new row) and the new status, the reason why not; None when allowed.
    """

    kind: Literal["transformation", "file", "task"]
    check: Callable[[str | None, str], str | None]


@dataclass(frozen=True, slots=True)
class Route:
    """A further HTTP route.

    :param verb: HTTP method; ``*`` for all.
    :param path: absolute path.
    :param handler: ``async def handler(request, context)`` with a rule: the caller is known, counted and let in, and
        whatever is refused has been answered. Without one ``async def handler(request)``, a bare aiohttp handler.
    :param rule: who may ask; a tuple lists properties, one of which is needed.
    """

    verb: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found. Everybody can read it: no names of people, files, hosts or databases.

    :param status: ``fail`` means that the server should get no calls, where the check is a vital one.
    :param text: the reason, for people; empty for ``pass``.
    :param facts: further members of the answer, JSON values.
    """

    status: Literal["pass", "warn", "fail"]
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A question that ``/health/ready`` asks.

    :param name: its key in the answer.
    :param check: ``async def check(service)`` returns a ``Health``. It is asked at most once a second, and has failed
        when it raises or takes longer than ``server.ready_timeout``.
    :param vital: whether the server is not ready when it fails; else that is shown as ``warn``.
    """

    name: str
    check: Callable[[Any], Awaitable[Health]]
    vital: bool = True


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a plugin's own tables.

    :param owner: the plugin; its migrations are numbered on their own.
    :param version: 1, 2, 3 …
    :param statements: SQL statements by engine (``sqlite``, ``mysql``).
    :raises ConfigurationError: the version is no number, or the statements of an engine are one text.
    """

    owner: str
    version: int
    statements: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if type(self.version) is not int or any(isinstance(texts, str) for texts in self.statements.values()):
            raise ConfigurationError(
                f"migration {self.version} of {self.owner}: the version is a number, the statements of an engine are a"
                " tuple of texts"
            )


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One call of a scenario that is replayed, and what it must give.

    :param now: the server's clock while it runs, ISO 8601.
    :param caller: a key of the identities (``as`` in the file).
    :param params: positional, named, or None when the call has none.
    :param expected: ``{"result": …}`` or ``{"error": {"type": …}}``.
    :param match: how loosely a result compares, None for exactly.
    :param unordered: lists compare as multisets.
    """

    number: int
    now: str
    caller: str
    method: str
    params: list[Any] | dict[str, Any] | None
    expected: Mapping[str, Any]
    match: str | None = None
    unordered: bool = False


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A POST request that says what a step says.

    :param path: absolute path; None for the server's own JSON-RPC path.
    """

    body: bytes
    headers: Mapping[str, str]
    path: str | None = None


class Wire(Protocol):
    """A way to say a step over HTTP. Plugins can bring another than JSON-RPC (hook ``register_replay_wire``).

    :param settings: what a server that is made for the replay needs, by dotted name.
    """

    name: str
    settings: Mapping[str, Any]

    def request(self, step: ReplayStep) -> WireRequest | None:
        """Return the request of a step, None when this wire cannot express it."""

    def answer(self, status: int, body: bytes) -> Mapping[str, Any]:
        """Return an answer as a response object: ``{"result": …}`` or ``{"error": {…}}``."""

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        """Return in which points the answer is wrong."""
