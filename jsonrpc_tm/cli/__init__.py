"""The command line: ``jsonrpc-tm``."""

import sys
from collections.abc import Sequence
from typing import NoReturn

try:
    from .main import main
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("jsonrpc_tm"):
        raise
    _missing = error.name

    def main(args: Sequence[str] | None = None) -> NoReturn:
        """Say what is missing where the client alone is installed."""
        print(f"Error: jsonrpc-tm needs the package {_missing}: pip install jsonrpc-tm", file=sys.stderr)
        sys.exit(2)


__all__ = ["main"]
