"""``jsonrpc-tm demo``: a whole production through a real server, with every number checked."""
