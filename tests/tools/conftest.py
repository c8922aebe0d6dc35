"""Tools for callers are tried on the sites of the tests of authentication."""

from tests.auth.conftest import jwks, site

__all__ = ["jwks", "site"]
