"""JSON-RPC 2.0: methods, and the one way to call them."""
