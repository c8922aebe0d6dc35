"""``python -m jsonrpc_tm``."""

from .cli import main

main()
