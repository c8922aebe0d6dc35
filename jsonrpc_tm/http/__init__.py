"""The server on the wire: sockets, TLS, requests and their limits."""
