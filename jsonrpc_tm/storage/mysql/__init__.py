"""MariaDB and MySQL, Galera clusters included."""

from .storage import MySQLProvider, MySQLStorage, register_storage

__all__ = ["MySQLProvider", "MySQLStorage", "register_storage"]
