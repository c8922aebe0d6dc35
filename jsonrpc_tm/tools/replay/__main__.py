"""``python -m jsonrpc_tm.tools.replay PATH…``: the command ``replay`` alone."""

from .commands import replay

replay(prog_name="python -m jsonrpc_tm.tools.replay")
