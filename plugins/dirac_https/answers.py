"""``S_OK`` and ``S_ERROR``, with the texts and numbers that DIRAC's clients compare."""

from collections.abc import Mapping
from typing import Any

from jsonrpc_tm.api import errors

ENOENT, EACCES = 2, 13
MISSING = "Transformation does not exist"


def ok(value: Any, more: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Return S_OK.

    :param more: further members beside ``Value``.
    """
    return {"OK": True, "Value": value, **more}


def failed(message: str, errno: int = 0) -> dict[str, Any]:
    """Return S_ERROR."""
    return {"OK": False, "Errno": errno, "Message": message}


def refusal(name: str, error: errors.TMError, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return S_ERROR for an error of ours, in the reference's words where its clients match on them."""
    if isinstance(error, errors.NotFound):
        return _not_found(name, error, named)
    if isinstance(error, errors.Forbidden):
        return failed(f"Permission denied ( {EACCES} : {error.message})", EACCES)
    if isinstance(error, errors.InvalidState) and error.data.get("reason") == "not extendable":
        return failed("Can not extend non-SIMULATION type production")
    return failed(error.message)


def _not_found(name: str, error: errors.NotFound, named: Mapping[str, Any]) -> dict[str, Any]:
    if error.data.get("what") == "transformation":
        return failed(MISSING)
    if name == "getTransformationMetaQuery":
        return failed(f"No such file or directory ( {ENOENT} : No MetaQuery found for transformation)", ENOENT)
    if name == "getTransformationParameters":
        asked = named["parameters"]
        missing = asked if isinstance(asked, str) else asked[0] if len(asked) == 1 else error.data.get("missing", asked)
        return failed(f"Parameter {missing} not defined for transformation {named['transName']}")
    return failed(error.message)
