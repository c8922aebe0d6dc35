"""The command line: ``jsonrpc-tm``."""

from .main import main

__all__ = ["main"]
