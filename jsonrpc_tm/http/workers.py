"""Worker processes that share a listening socket, and the parent that starts and stops them.

The parent keeps the socket open, so connections that wait in its queue are not lost when a worker dies.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NoReturn

from ..auth.changed_files import RELOAD
from ..core.errors import ConfigurationError
from .notify import STOPPING, be_silent, notify
from .reload import Reloader

logger = logging.getLogger(__name__)

WorkerBody = Callable[[Callable[[], None], int], None]
_READY = "ready"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# seconds: a worker that lived this long may be replaced at once
_STEADY = 30.0
_LONGEST_PAUSE = 30.0
PATIENCE = 10.0
"""Seconds that a worker has to end, beyond its own grace."""


@dataclass
class _Worker:
    process: BaseProcess
    reports: Connection
    started: float


class Supervisor:
    """Runs *work* in *count* processes until a signal asks to stop.

    :param work: called in each process with a function to call when it serves, and a file descriptor that reads
        end-of-file when the parent is gone. It returns after SIGTERM.
    :param ready: called once, when all serve.
    :param bound: the socket they share, closed before they are asked to finish.
    :param grace: seconds a worker may take to finish.
    :param reloader: of what the workers are made from. Each reloads its own copy; those that are started later begin
        with this one.
    """

    def __init__(
        self,
        count: int,
        work: WorkerBody,
        ready: Callable[[], None],
        bound: socket.socket,
        grace: float,
        reloader: Reloader,
    ) -> None:
        self._work, self._ready, self._bound, self._grace, self._reloader = work, ready, bound, grace, reloader
        self._waiting = count
        self._workers: list[_Worker] = []
        # when to start the ones that are missing
        self._due: list[float] = [0.0] * count
        self._pause = 0.0
        self._lifeline = os.pipe()
        self._wake, self._waker = socket.socketpair()

    def run(self) -> None:
        """Start the workers, replace those that die, stop them after a signal; let them reload at SIGHUP.

        :raises ConfigurationError: one could not start.
        :raises SystemExit: some had to be killed at the end.
        """
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        previous = [(number, signal.signal(number, lambda *_: None)) for number in (*_SIGNALS, signal.SIGHUP)]
        wakeup = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            while not self._signalled():
                self._start_due()
                self._reloader.look()
                self._wait(min(RELOAD, max(0.0, min(self._due) - time.monotonic())) if self._due else RELOAD)
            logger.info("stopping %d worker(s)", len(self._workers))
            notify(STOPPING)
        finally:
            killed = self._stop()
            signal.set_wakeup_fd(wakeup)
            for number, handler in previous:
                signal.signal(number, handler)
            os.close(self._lifeline[0])
            os.close(self._lifeline[1])
            self._wake.close()
            self._waker.close()
        if killed:
            sys.exit(1)

    def _start_due(self) -> None:
        now = time.monotonic()
        for due in [due for due in self._due if due <= now]:
            self._due.remove(due)
            # fork: the service is made from what is loaded here, plugins included
            forking = multiprocessing.get_context("fork")
            reports, reporting = forking.Pipe(duplex=False)
            process = forking.Process(target=self._child, args=(reporting,), name="jsonrpc-tm worker")
            process.start()
            reporting.close()
            self._workers.append(_Worker(process, reports, now))

    def _child(self, reporting: Connection) -> NoReturn:
        os.close(self._lifeline[1])
        be_silent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # SIGINT, which a terminal sends to all processes, stays without effect: the parent decides
        try:
            self._work(lambda: reporting.send(_READY), self._lifeline[0])
        except ConfigurationError as error:
            reporting.send(error)
            sys.exit(2)
        finally:
            # nobody else does it in a process that multiprocessing has made, and lines may wait
            logging.shutdown()
        sys.exit(0)

    def _wait(self, timeout: float | None) -> None:
        by_object = {worker.reports: worker for worker in self._workers if not worker.reports.closed}
        happened = wait([self._wake, *by_object, *(worker.process.sentinel for worker in self._workers)], timeout)
        for thing in happened:
            if isinstance(thing, Connection):
                self._hear(by_object[thing])
        for worker in [worker for worker in self._workers if worker.process.sentinel in happened]:
            self._replace(worker)

    def _hear(self, worker: _Worker) -> None:
        try:
            report = worker.reports.recv()
        except EOFError:
            worker.reports.close()
            return
        if isinstance(report, ConfigurationError):
            if self._waiting:
                raise report
            logger.error("worker %d cannot start: %s", worker.process.pid, report)
        elif self._waiting:
            self._waiting -= 1
            if not self._waiting:
                self._ready()

    def _replace(self, worker: _Worker) -> None:
        if not worker.reports.closed and worker.reports.poll():
            self._hear(worker)
        worker.process.join()
        self._workers.remove(worker)
        worker.reports.close()
        if self._waiting:
            raise ConfigurationError(f"a worker process ended while it started, {_ending(worker)}; the log says more")
        steady = time.monotonic() - worker.started >= _STEADY
        self._pause = 0.0 if steady else min(_LONGEST_PAUSE, self._pause * 2 or 0.1)
        logger.error("worker %d ended, %s: starting another in %g s", worker.process.pid, _ending(worker), self._pause)
        self._due.append(time.monotonic() + self._pause)

    def _signalled(self) -> bool:
        """Whether a signal to stop has come; a SIGHUP is seen to."""
        try:
            numbers = self._wake.recv(64)
        except BlockingIOError:
            return False
        if signal.SIGHUP in numbers:
            self._reloader.reload()
            for worker in self._workers:
                if worker.process.pid is not None and worker.process.is_alive():
                    os.kill(worker.process.pid, signal.SIGHUP)
        return any(number in _SIGNALS for number in numbers)

    def _stop(self) -> bool:
        """Ask every worker to finish; kill those that take too long, or all after a second signal.

        :return: whether any was killed.
        """
        killed = False
        self._bound.close()
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._grace + PATIENCE
        while alive := [worker.process for worker in self._workers if worker.process.is_alive()]:
            remaining = deadline - time.monotonic()
            wait([self._wake, *(process.sentinel for process in alive)], max(0.0, remaining))
            if remaining <= 0 or self._signalled():
                for process in alive:
                    logger.error("killing worker %d", process.pid)
                    process.kill()
                    process.join()
                    killed = True
        return killed


def end_with_parent(lifeline: int, end: Callable[[], object], grace: float) -> None:
    """Watch from a thread, so that a worker which is stuck does not outlive its parent either.

    :param lifeline: reads end-of-file when the parent is gone.
    :param end: called then, from the thread; what still runs after *grace* seconds and ``PATIENCE`` is cut off.
    """

    def watch() -> None:
        os.read(lifeline, 1)
        logger.error("stopping: the parent process is gone")
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            end()
        time.sleep(grace + PATIENCE)
        logger.error("stopping at once: this process did not end in time")
        logging.shutdown()
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _ending(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
