"""``rpc.discover``: the server describes itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..rpc.openrpc import document


async def discover(call: Call) -> dict[str, Any]:
    """Return the OpenRPC document of every method the server has, plugins included."""
    return document(call.service)


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the method."""
    yield Method("rpc.discover", discover, result="the OpenRPC document", rule="all", schema={"type": "object"})
