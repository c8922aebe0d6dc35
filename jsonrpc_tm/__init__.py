"""A JSON-RPC 2.0 server for transformations of large experiments. What plugin authors need is here."""

from . import fields
from .errors import TMError
from .hookspecs import CallRecord, Event, Migration, Route, StatusRule, hookimpl
from .registry import Method
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
__version__ = "0.1.0"
