"""A JSON-RPC 2.0 server for transformations of large experiments. Plugin authors import from ``jsonrpc_tm.api``."""

__version__ = "0.1.0"
