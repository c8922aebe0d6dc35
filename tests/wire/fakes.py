"""A service with a few methods and nothing below it."""

from typing import Any

from jsonrpc_tm.errors import InternalError, InvalidParams, MethodNotFound, StorageUnavailable, TMError
from jsonrpc_tm.identity import ANONYMOUS, Identity

SETTINGS = {
    "limits.depth": 16,
    "limits.string_length": 2**20,
    "server.max_batch": 20,
    "server.max_body": 2**20,
    "server.path": "/rpc",
}


class FakeService:
    """Answers as ``Service.call`` does; remembers what it was asked, in order."""

    def __init__(self, **settings: Any) -> None:
        self.settings = {**SETTINGS, **settings}
        self.calls: list[tuple[str, Any]] = []
        self.errors: dict[str, TMError] = {}

    async def call(self, name: str, params: Any, identity: Identity = ANONYMOUS, request_id: str = "") -> Any:
        self.calls.append((name, params))
        if name in self.errors:
            raise self.errors[name]
        match name:
            case "subtract":
                left, right = params if isinstance(params, list) else (params["minuend"], params["subtrahend"])
                return left - right
            case "sum":
                return sum(params)
            case "get_data":
                return ["hello", 5]
            case "echo":
                return params[0] if isinstance(params, list) else params
            case "update" | "notify_hello" | "notify_sum":
                return None
            case "refuse":
                raise InvalidParams("no", errors={"x": ["Unknown field."]})
            case "lost":
                raise StorageUnavailable("The database is gone", outcome="unknown")
            case "broken":
                raise InternalError("Internal error")
            case "bug":
                raise ValueError("mysql://root:secret@db")
            case "unserialisable":
                return object()
        raise MethodNotFound(f"No method {name!r}")
