"""The mark of hooks and of their implementations."""

import pluggy

PROJECT = "jsonrpc_tm"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
