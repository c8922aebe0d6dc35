"""What a request may nest, at the deepest that can be set, comes back in answers."""

from typing import Any

import orjson
import pytest

from jsonrpc_tm.app import create_service
from jsonrpc_tm.core.errors import ConfigurationError
from jsonrpc_tm.core.identity import MANAGEMENT, Identity
from jsonrpc_tm.rpc.dispatch import Dispatcher

DEEPEST = 250
ADMIN = Identity("root", "admins", (MANAGEMENT,), "/CN=root")
NEW = ["t", "", "", "Processing", "Standard", "Manual", ""]


def settings(depth: int) -> dict[str, Any]:
    return {"storage.url": "sqlite://:memory:", "limits.depth": depth}


async def test_the_deepest_value_comes_back_everywhere() -> None:
    value: Any = {}
    for _ in range(DEEPEST - 3):  # the request and its params are two levels
        value = {"a": value}
    async with create_service(None, {}, settings(DEEPEST)) as service:
        dispatcher = Dispatcher(service)

        async def call(method: str, *params: Any) -> Any:
            body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            answer = await dispatcher.handle(body, service.context(ADMIN, "r"))
            assert answer is not None
            return orjson.loads(answer)["result"]

        assert await call("echo", value) == value
        await call("addTransformation", *NEW)
        await call("setTransformationParameter", "t", "deep", value)
        assert await call("getTransformationParameters", "t", "deep") == value
        assert (await call("getTransformations", None, None, None, None, None, None, True))[0]["deep"] == value
        assert await call("getCounters", "AdditionalParameters", ["ParameterValue"], None) == [
            [{"ParameterValue": value}, 1]
        ]


def test_deeper_cannot_be_set() -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.depth: Must be at most 250"):
        create_service(None, {}, settings(DEEPEST + 1))
