"""Log lines on their way out: those of calls in batches, by a thread; all others at once, after what is before them."""

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TextIO

from ..core.records import CallRecord

# seconds that the line of a call waits for others; a write for each costs as much as all else of a small call's line
_WAIT = 0.1
# lines that wait; whoever has one more writes them itself, and so waits for a slow reader as for any other line
_MOST = 10_000


class CallsFormatter(logging.Formatter, ABC):
    """Makes lines of records, and of calls."""

    @abstractmethod
    def calls(self, process: int, records: Iterable[tuple[float, CallRecord]]) -> str:
        """Return a line for each call.

        :param process: its id.
        :param records: each with the moment of its line, seconds since 1970.
        """


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream.

    What waits is written when the process ends, also by an exception or a signal that it handles; ``flush`` waits for
    it. SIGKILL or a crash of the interpreter loses what came in the last tenth of a second.
    """

    def __init__(self, stream: TextIO, formatter: CallsFormatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._formatter = formatter
        self._process = 0
        self._lost = 0

    def _begin(self, process: int) -> None:
        # threads do not survive a fork, and what waited is the parent's
        self._waiting: list[tuple[float, CallRecord]] = []
        self._some = threading.Event()
        self._process = process  # from here on other threads write what waits
        threading.Thread(target=self._write, args=(self._some,), name="log of calls", daemon=True).start()

    def write_soon(self, record: CallRecord) -> None:
        """Write the line of a call within a tenth of a second, in its order among the others.

        Many lines are made at a time: each takes a third of what it does between the other steps of a call.
        """
        process = os.getpid()
        if process != self._process:
            self._begin(process)
        self._waiting.append((time.time(), record))
        if not self._some.is_set():
            self._some.set()
        if len(self._waiting) > _MOST:
            self._put()

    def _write(self, some: threading.Event) -> None:
        while some.wait():
            time.sleep(_WAIT)
            some.clear()
            self._put()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record now, after all that waits."""
        self._put()
        super().emit(record)

    def flush(self) -> None:
        """Write what waits."""
        self._put()
        super().flush()

    def _put(self) -> None:
        """Write what waits; where that fails, as on a full disk, it is lost, and the next lines tell how many were."""
        if self._process != os.getpid():
            return
        with self.lock:  # type: ignore[union-attr]
            # others may add to it meanwhile
            number = len(self._waiting)
            waiting = self._waiting[:number]
            del self._waiting[:number]
            if not waiting:
                return
            # nothing may end the thread, or a caller of the log
            try:
                text = f"{self._formatter.calls(self._process, waiting)}\n"
                if self._lost:
                    what = f"{self._lost} line(s) of calls could not be written"
                    lost = logging.LogRecord(__name__, logging.WARNING, __file__, 0, what, (), None)
                    text = f"{self.format(lost)}\n{text}"
                self.stream.write(text)
                self.stream.flush()
            except Exception:
                self._lost += number
            else:
                self._lost = 0
