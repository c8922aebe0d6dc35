"""``replay --wire dirac``: scenarios said in DIRAC's wire, and its answers compared."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from jsonrpc_tm.api import ReplayStep, Service, WireRequest, create_service, differences

from . import methods
from .jencode import TAG, VALUE
from .manager import PATH

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class DiracWire:
    """Steps with a result must give it as ``Value``; steps with an error must be refused, in whatever way.

    Not expressed, and listed as such: calls without credentials that should succeed, an offset without a limit (which
    DIRAC ignores), names of parameters that there are not, and methods that are not DIRAC's.
    """

    name = "dirac"
    settings: Mapping[str, Any] = {"dirac_https.enabled": True}

    @functools.cached_property
    def _service(self) -> Service:
        """A service that is never opened: it knows the methods and the order of their parameters."""
        return create_service(overrides={"storage.url": "sqlite://:memory:"})

    def request(self, step: ReplayStep) -> WireRequest | None:
        """Return the form that says a step, None when it cannot be said."""
        given = self._positional(step)
        if given is None:
            return None
        fields = {"method": step.method, "args": json.dumps(given), "clientVO": "vo", "clientSetup": "setup"}
        return WireRequest(urlencode(fields).encode(), _FORM, PATH)

    def answer(self, status: int, body: bytes) -> Mapping[str, Any]:
        """Return what DIRAC's answer is as a response object of JSON-RPC."""
        try:
            found = json.loads(body)
        except ValueError:
            found = {"OK": False, "Message": f"HTTP {status}"}
        if status == 200 and found["OK"]:
            return {"result": _plain(found["Value"])}
        return {"error": {"message": found["Message"], "data": {"type": "Refused"}}}

    def judge(self, step: ReplayStep, answer: Mapping[str, Any]) -> list[str]:
        """Return in which points the answer is wrong."""
        if "error" in step.expected:
            if "error" in answer or self._tolerated(step):
                return []
            return [f"expected a refusal, got the result {json.dumps(answer['result'])[:300]}"]
        if step.method == "whoami":  # DIRAC's has more members
            step = dataclasses.replace(step, match="subset")
        return differences(step, answer)

    def _positional(self, step: ReplayStep) -> list[Any] | None:
        """Return a step's parameters by position, absent ones in between with their defaults."""
        refused = "error" in step.expected
        if step.method not in methods.METHODS or (step.caller == "nobody" and not refused):
            return [] if refused else None
        method = self._service.registry.get(step.method)
        names = methods.parameters(method)
        given = step.params or []
        if isinstance(given, list):
            return None if self._skips(step.method, dict(zip(names, given, strict=False))) else given
        if any(name not in names for name in given):
            return None
        if self._skips(step.method, given):
            return None
        last = max((names.index(name) for name in given), default=-1)
        laid = [given.get(name, method.params[name].load_default) for name in names[: last + 1]]
        if any(name not in given and method.params[name].required for name in names[: last + 1]):
            return None
        return [value() if callable(value) else value for value in laid]

    def _skips(self, method: str, named: Mapping[str, Any]) -> bool:
        """Whether rows are skipped without a limit, which DIRAC's wire does not do."""
        return method in methods.PAGED and not named.get("limit") and bool(named.get("offset"))

    def _tolerated(self, step: ReplayStep) -> bool:
        """Whether the wire's page names what is wrong with a step as tolerated."""
        given = self._positional(step)
        if given is None:
            return False
        if step.method == "getTransformationTaskStats":
            return given == [""]
        method = self._service.registry.get(step.method)
        return methods.arguments(method, given) != dict(zip(methods.parameters(method), given, strict=False))


def _plain(value: Any) -> Any:
    """Return a value without DIRAC's tags and without the additions for DIRAC 8."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {TAG, VALUE}:
        return value[VALUE].replace(" ", "T") + "Z"
    return {key: _plain(item) for key, item in value.items() if key != "AuthorDN" or "Author" not in value}
