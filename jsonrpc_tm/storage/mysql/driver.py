"""The database driver. Another one with the same interface (asyncmy) needs a change here only."""

import aiomysql as driver

__all__ = ["driver"]
