"""All that plugin authors may import; nothing else of the package is promised to them.

What is here keeps its meaning as long as ``API_VERSION`` stays the same; ``docs/plugins.md`` shows how it is used. A
plugin says the version that it was written for: ``JSONRPC_TM_API = 1`` in its module.

What needs aiohttp, click or the tools is loaded when it is first asked for: a plugin that has no routes and no
commands does not pay for them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .auth.policy import DefaultPolicy
from .auth.users import HOSTS, admit
from .catalog.base import Catalog, CatalogProvider
from .core import errors, fields
from .core.breath import give_way
from .core.clock import stored
from .core.context import Context
from .core.errors import TMError
from .core.events import EVENT_TYPES, Event
from .core.garbage import without_collections
from .core.identity import (
    ANONYMOUS,
    MANAGEMENT,
    SHARING,
    USER,
    Asker,
    Authenticator,
    Credentials,
    Decision,
    Identity,
    Policy,
    Rule,
    Transformation,
    User,
    Users,
)
from .core.lifetimes import background
from .core.model import TABLES, FieldType, Metadata
from .core.records import CallRecord, Health, HealthCheck, Migration, ReplayStep, Route, StatusRule, Wire, WireRequest
from .core.state_machines import StateMachine, StatusMove
from .domain import reports, transitions
from .domain.page import Page
from .domain.rows import Rows, Tuples
from .domain.transformation_log import note
from .domain.work import Held, Work
from .matching.query import Query, check_search, matches
from .parts import AuthenticatorFactory, Parts
from .plugin.marker import hookimpl
from .plugin.version import API_VERSION
from .rpc import results
from .rpc.body import RequestLimits, parse, parse_long
from .rpc.chain import Outside
from .rpc.listing import Head, Outlet
from .rpc.method import DEFAULT, Change, Method, Read, Write
from .rpc.method_rules import check_identity, check_properties
from .rpc.service import Lifetime, Service
from .settings.loading import Settings
from .settings.setting import Setting
from .storage import keys
from .storage.base import CallKey, Schema, Select, Storage, StorageProvider, Transaction, chunks
from .storage.circuit import Failure
from .storage.runner import Runner

if TYPE_CHECKING:
    from .app import create_service
    from .cli.client_options import client_options, make_client
    from .cli.program import pass_program
    from .http.compression import compress
    from .http.endpoint import SERVICE, caller, context_of, finished, read_body, spool_of
    from .http.refusal import Refusal, request_id_of
    from .http.spool import Spool, body_of
    from .tools.replay.compare import differences

__all__ = [
    "ANONYMOUS",
    "API_VERSION",
    "DEFAULT",
    "EVENT_TYPES",
    "HOSTS",
    "MANAGEMENT",
    "SERVICE",
    "SHARING",
    "TABLES",
    "USER",
    "Asker",
    "Authenticator",
    "AuthenticatorFactory",
    "CallKey",
    "CallRecord",
    "Catalog",
    "CatalogProvider",
    "Change",
    "Context",
    "Credentials",
    "Decision",
    "DefaultPolicy",
    "Event",
    "Failure",
    "FieldType",
    "Head",
    "Health",
    "HealthCheck",
    "Held",
    "Identity",
    "Lifetime",
    "Metadata",
    "Method",
    "Migration",
    "Outlet",
    "Outside",
    "Page",
    "Parts",
    "Policy",
    "Query",
    "Read",
    "Refusal",
    "ReplayStep",
    "RequestLimits",
    "Route",
    "Rows",
    "Rule",
    "Runner",
    "Schema",
    "Select",
    "Service",
    "Setting",
    "Settings",
    "Spool",
    "StateMachine",
    "StatusMove",
    "StatusRule",
    "Storage",
    "StorageProvider",
    "TMError",
    "Transaction",
    "Transformation",
    "Tuples",
    "User",
    "Users",
    "Wire",
    "WireRequest",
    "Work",
    "Write",
    "admit",
    "background",
    "body_of",
    "caller",
    "check_identity",
    "check_properties",
    "check_search",
    "chunks",
    "client_options",
    "compress",
    "context_of",
    "create_service",
    "differences",
    "errors",
    "fields",
    "finished",
    "give_way",
    "hookimpl",
    "keys",
    "make_client",
    "matches",
    "note",
    "parse",
    "parse_long",
    "pass_program",
    "read_body",
    "reports",
    "request_id_of",
    "results",
    "spool_of",
    "stored",
    "transitions",
    "without_collections",
]

_LATER = {
    "create_service": "app",
    "client_options": "cli.client_options",
    "make_client": "cli.client_options",
    "pass_program": "cli.program",
    "compress": "http.compression",
    "SERVICE": "http.endpoint",
    "Refusal": "http.refusal",
    "caller": "http.endpoint",
    "context_of": "http.endpoint",
    "finished": "http.endpoint",
    "read_body": "http.endpoint",
    "Spool": "http.spool",
    "body_of": "http.spool",
    "spool_of": "http.endpoint",
    "request_id_of": "http.refusal",
    "differences": "tools.replay.compare",
}
"""Where those are that are loaded when they are first asked for."""

if not TYPE_CHECKING:  # type checkers must not take every name for one that there is

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f".{_LATER[name]}", __package__), name)
        globals()[name] = found
        return found
