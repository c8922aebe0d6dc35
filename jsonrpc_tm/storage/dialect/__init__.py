"""Every difference between the engines' SQL, as named pieces of SQL text. No other module asks which engine runs.

Parameters are named (``:name``) on both.
"""

from .base import Dialect, PackedKind
from .mysql import GALERA, MYSQL, MYSQL8, MySQL
from .sqlite import SQLITE, SQLite

__all__ = ["GALERA", "MYSQL", "MYSQL8", "SQLITE", "Dialect", "MySQL", "PackedKind", "SQLite"]
