"""The standard streams of a process when they are closed, full, or nobody reads them."""

import errno
import io
import os
import sys
from typing import Any

_NAMES = ("standard input", "standard output", "standard error")


class Unwritable(OSError):
    """Standard output cannot be written.

    :param quiet: its reader has gone, and knows.
    """

    def __init__(self, message: str, *, quiet: bool = False) -> None:
        super().__init__(message)  # no errno: click would end the program for some
        self.quiet = quiet


class _Output(io.FileIO):
    """Standard output. The first failure is raised as ``Unwritable``; what comes after it goes nowhere."""

    def write(self, data: Any, /) -> int:
        """Write *data*."""
        try:
            return super().write(data)
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            quiet = error.errno == errno.EPIPE
            raise Unwritable(f"{_NAMES[1]} cannot be written: {reason}", quiet=quiet) from None


class _Errors(io.FileIO):
    """Standard error: where it cannot be written nobody could be told."""

    def write(self, data: Any, /) -> int:
        """Write *data*."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def secure() -> None:
    """Give the process all three standard streams, whatever it was started with.

    A descriptor that is closed would be taken by the next file or connection, and a message would go into that.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # it cannot be used: what is asked of it fails, as it should
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Errors(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, old: Any) -> io.TextIOWrapper:
    # a character that the terminal's encoding lacks is escaped, instead of ending the program
    return io.TextIOWrapper(
        io.BufferedWriter(raw), getattr(old, "encoding", "utf-8"), "backslashreplace", line_buffering=raw.isatty()
    )
