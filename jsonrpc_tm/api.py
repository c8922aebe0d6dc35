"""All that plugin authors may import; nothing else of the package is promised to them."""

from .core import fields
from .core.errors import TMError
from .core.records import CallRecord, Event, Migration, Route, StatusRule
from .plugin.marker import hookimpl
from .rpc.method import Method
from .settings import Setting

__all__ = [
    "CallRecord",
    "Event",
    "Method",
    "Migration",
    "Route",
    "Setting",
    "StatusRule",
    "TMError",
    "fields",
    "hookimpl",
]
