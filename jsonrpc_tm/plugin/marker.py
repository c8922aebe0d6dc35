"""The mark of hooks and of their implementations."""

import pluggy

PROJECT = "jsonrpc_tm"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook that it is named after."""
