"""What the driver's errors mean."""

from ..circuit import Failure
from .driver import driver

DUPLICATE = 1062
TABLE_EXISTS = 1050
COLUMN_EXISTS = 1060
KEY_EXISTS = 1061
LOST = 2013
DEADLOCK = 1213
TOO_LONG = 3024
READ_ONLY = 1290
UNKNOWN_THREAD = 1094
# another transaction holds a row that was not to be waited for: MariaDB, MySQL
HELD = {1205, 3572}
# a deadlock (on Galera: another node's transaction was first), a lock not granted in time, a snapshot too old, a table
# changed by a migration, a statement killed by an administrator
_AGAIN = {DEADLOCK, 1205, 1020, 1412, 1317}
_CROWDED = {1040, 1203}
_READ_ONLY = {READ_ONLY, 1836}
# this host cannot serve now: connection refused or lost, too many connections, shutting down, read only, idle for too
# long, not in the cluster's primary component
HOST_FAULTS = {
    *(2002, 2003, 2006, LOST, 2055, 1047, 1053, 1927, 4031, 1158, 1159, 1160, 1161, 1184),
    *_CROWDED,
    *_READ_ONLY,
}
_TOO_LONG = {1969, TOO_LONG}
# a row that another transaction made, or took away, since this one looked
_RACES = {DUPLICATE, 1451, 1452}
# no credentials, no such database, no right on it: waiting does not help
_REFUSED = {1044, 1045, 1049, 1130, 1251, 1275, 1698}
# no right on a table
_FORBIDDEN = {1142, 1227}
# numbers that the client gives itself
_CLIENTS = range(2000, 3000)


class NotCommitted(Exception):
    """COMMIT failed and the transaction is known not to have happened."""


class ReadOnly(driver.OperationalError):  # type: ignore[misc]
    """No host takes changes, and some only read.

    :param everywhere: all do; else others cannot be reached, of which one may come back.
    """

    def __init__(self, everywhere: bool) -> None:
        super().__init__(READ_ONLY, "read only")
        self.everywhere = everywhere


def code(error: BaseException) -> int:
    """Return the number of a driver's error; a connection that broke off without one counts as lost."""
    if isinstance(error, driver.Error) and error.args and isinstance(error.args[0], int) and error.args[0]:
        number: int = error.args[0]
        return number
    return LOST if isinstance(error, driver.InterfaceError | driver.InternalError | OSError) else 0


def refused_by_server(error: BaseException) -> bool:
    """Whether the server itself has answered with this error: it did not do the statement, and none after it."""
    number = code(error)
    return number > 0 and number not in _CLIENTS


def classify(error: Exception) -> Failure | None:
    """Return what an exception of the driver means; None for one that is a bug of ours."""
    number = code(error)
    if isinstance(error, NotCommitted) or number in _AGAIN:
        return Failure("busy", "The database is busy")
    if number in _READ_ONLY:
        waiting = not (isinstance(error, ReadOnly) and error.everywhere)
        return Failure("busy" if waiting else "gone", "The database is read only: it takes no changes now", "writes")
    if number in _CROWDED:
        return Failure("busy", "The database has no connection left for this server")
    if number in HOST_FAULTS:
        return Failure("busy", "The database cannot be reached", "all")
    if number in _RACES:
        return Failure("race", "The database is busy")
    if number in _TOO_LONG:
        return Failure("gone", "The database took too long")
    if number in _REFUSED:
        return Failure("gone", "The database refuses this server", "all")
    if number in _FORBIDDEN:
        return Failure("gone", "The database refuses this server")
    return None
