"""What is measured: samples of ours and of the floor in turn, and the row that they become."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .load import Load, Loader, Target
from .processes import Bare, Process, Server, memory, processor_time
from .raw import Database

SQLITE, MARIADB = "SQLite", "MariaDB"
EVERY = 0.01
"""Seconds from one small call beside a big one to the next."""


@dataclass
class Sample:
    """One round.

    :param seconds: for all calls.
    :param cpu: processor time of the server; of the floor that of whoever did it. Seconds for all calls.
    :param database: processor time of MariaDB's process.
    """

    seconds: float
    calls: int
    cpu: float
    database: float
    latencies: Sequence[float] = ()


@dataclass
class Row:
    """A line of the table. Times are per call: wall in milliseconds, processor time in microseconds.

    :param floor: what it is compared with.
    :param spread: the least and the most of `ratio` in the rounds, or of *cpu* where there is no floor.
    :param beside: milliseconds that a small call took meanwhile: p50, p99, the worst.
    """

    name: str
    storage: str = ""
    wire: str = ""
    callers: int = 1
    workers: int = 1
    rate: float | None = None
    ms: float | None = None
    p50: float | None = None
    p99: float | None = None
    cpu: float | None = None
    database: float | None = None
    floor: str = ""
    floor_ms: float | None = None
    floor_cpu: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    spread: tuple[float, float] | None = None
    beside: tuple[float, float, float] | None = None
    memory: float | None = None

    @property
    def key(self) -> str:
        """What makes it the same row in another run."""
        return " · ".join(
            word
            for word in (
                self.name,
                self.storage,
                self.wire,
                f"{self.callers} callers" if self.callers > 1 else "",
                f"{self.workers} workers" if self.workers > 1 else "",
            )
            if word
        )

    def plain(self) -> dict[str, Any]:
        """Return it for a JSON file."""
        return {"key": self.key, **asdict(self)}


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that *share* of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def row(name: str, ours: Sequence[Sample], base: Sequence[Sample] = (), **more: Any) -> Row:
    """Return the row of these rounds: medians, ratios by round."""

    def each(samples: Sequence[Sample], what: Callable[[Sample], float]) -> list[float]:
        return [what(sample) / sample.calls for sample in samples]

    def wall(samples: Sequence[Sample]) -> list[float]:
        return [1e3 * value for value in each(samples, lambda sample: sample.seconds)]

    def spent(samples: Sequence[Sample]) -> list[float]:
        return [1e6 * value for value in each(samples, lambda sample: sample.cpu + sample.database)]

    made = Row(name, **more)
    made.ms = statistics.median(wall(ours))
    made.rate = 1e3 / made.ms
    latencies = [1e3 * value for sample in ours for value in sample.latencies]
    if len(latencies) >= 100:
        made.p50, made.p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    made.cpu = 1e6 * statistics.median(each(ours, lambda sample: sample.cpu))
    made.database = 1e6 * statistics.median(each(ours, lambda sample: sample.database)) or None
    compared = spent(ours)
    if base:
        made.floor_ms, made.floor_cpu = statistics.median(wall(base)), statistics.median(spent(base))
        ratios = [mine / least for mine, least in zip(wall(ours), wall(base), strict=True)]
        compared = [mine / least for mine, least in zip(spent(ours), spent(base), strict=True)]
        made.ratio, made.cpu_ratio = statistics.median(ratios), statistics.median(compared)
    made.spread = min(compared), max(compared)
    return made


@dataclass
class Bench:
    """What a measurement works with: servers, load, sizes.

    :param folder: for whatever is written.
    :param storage: SQLITE or MARIADB.
    :param mariadb: the database server, where there is one.
    :param scale: of all sizes; 1 is the usual one.
    :param seconds: that a round of small calls takes.
    """

    folder: Path
    loader: Loader
    pinger: Loader
    mariadb: Any
    storage: str = SQLITE
    scale: float = 1
    rounds: int = 3
    seconds: float = 0.5
    name: str = ""
    _number: int = 0
    _kept: dict[tuple[Any, ...], Process] = field(default_factory=dict)
    _databases: list[Database] = field(default_factory=list)

    def size(self, usual: int) -> int:
        """Return so many objects, fewer in a small run."""
        return max(min(usual, 10), int(usual * self.scale))

    def url(self) -> str:
        """Return the URL of a new database."""
        if self.storage == SQLITE:
            self._number += 1
            return f"sqlite:///{self.folder}/{self._number}.db"
        return self.mariadb.url(self.mariadb.create_database())

    def server(self, *, tls: bool = True, workers: int = 1, url: str = "", **more: Any) -> Server:
        """Return a server; the same for the measurements of one module.

        :param url: of its database, which is a new one by itself.
        """
        key = ("server", self.storage, tls, workers, url, str(more))
        if key not in self._kept:
            self._number += 1
            folder = self.folder / f"server{self._number}"
            self._kept[key] = Server(folder, url or self.url(), tls=tls, workers=workers, more=more)
        return self._kept[key]

    def bare(self, server: Server, url: str = "") -> Bare:
        """Return a bare handler to compare a server with.

        :param url: of the database that it reads.
        """
        key = ("bare", id(server), url)
        if key not in self._kept:
            self._number += 1
            self._kept[key] = Bare(self.folder / f"bare{self._number}", server.target.tls, url)
        return self._kept[key]

    def raw(self) -> Database:
        """Return a database of the same tables that no server has."""
        self._databases.append(Database(self.url(), blank=True))
        return self._databases[-1]

    def look(self, url: str, sql: str) -> Sequence[Sequence[Any]]:
        """Return what is in the database of a server."""
        with contextlib.closing(Database(url)) as database:
            return database.run(sql)

    def close(self) -> None:
        """End the servers."""
        for process in self._kept.values():
            process.stop()
        for database in self._databases:
            database.close()
        self._kept.clear()
        self._databases.clear()

    def database_time(self) -> float:
        """Return the seconds of processor time that MariaDB has used; 0 where it is not measured."""
        return processor_time([self.mariadb.process.pid]) if self.storage == MARIADB else 0.0

    def load(
        self,
        process: Process,
        requests: Sequence[bytes],
        callers: int = 1,
        seconds: float = 0,
        loader: Loader | None = None,
    ) -> Sample:
        """Send requests and return what they took; see `Loader.start`."""
        target: Target = process.target
        used, behind = processor_time(process.pids), self.database_time()
        found = (loader or self.loader).run(target, requests, callers, seconds)
        spent, asked = processor_time(process.pids) - used, self.database_time() - behind
        return Sample(found.seconds, len(found.latencies), spent, asked, found.latencies)

    def send(self, process: Process, requests: Sequence[bytes], _turn: int = 0) -> Sample:
        """Send each request once, one after the other."""
        return self.load(process, requests)

    def steady(self, process: Process, request: bytes, callers: int) -> Callable[[int], Sample]:
        """Return a way to take: the same request again and again, for the seconds of a round."""
        return lambda _: self.load(process, [request], callers, self.seconds)

    def alone(self, work: Callable[[], object], calls: int = 1) -> Sample:
        """Do something here and return what it took."""
        behind, used, begin = self.database_time(), time.process_time(), time.perf_counter()
        work()
        seconds, spent = time.perf_counter() - begin, time.process_time() - used
        return Sample(seconds, calls, spent, self.database_time() - behind)

    def turns(self, *ways: Callable[[int], Sample], rounds: int = 0) -> list[list[Sample]]:
        """Return the samples of each way, taken in turn; those of the first turn are for warming up.

        :param ways: are given the number of the turn.
        """
        found: list[list[Sample]] = [[] for _ in ways]
        for number in range((rounds or self.rounds) + 1):
            for samples, way in zip(found, ways, strict=True):
                samples.append(way(number))
        return [samples[1:] for samples in found]

    def quiet(self, server: Server, small: bytes) -> dict[str, Any]:
        """Return what `beside` does when there is nothing else to be done."""
        return self._noticed(self.pinger.run(server.target, [small], 1, 4 * self.seconds, EVERY))

    def _noticed(self, pings: Load) -> dict[str, Any]:
        found = [1e3 * value for value in pings.latencies]
        return {"beside": (quantile(found, 0.5), quantile(found, 0.99), max(found))}

    def beside(self, server: Server, big: Sequence[bytes], small: bytes) -> dict[str, Any]:
        """Return what a small call noticed of big ones, and what they took of memory, as fields of a row."""
        before = most = memory(server.pids)
        self.pinger.run(server.target, [small])
        self.pinger.start(server.target, [small], 1, 3600, EVERY)
        self.loader.start(server.target, big)
        while self.loader.running:
            most = max(most, memory(server.pids))
            time.sleep(0.01)
        self.loader.finish()
        return self._noticed(self.pinger.stop()) | {"memory": most - before}


Measure = Callable[[Bench], Iterable[Row]]


@dataclass(frozen=True)
class Measurement:
    """Something that can be measured by name."""

    name: str
    run: Measure
    storages: tuple[str, ...]
    long: bool

    @property
    def module(self) -> str:
        """Where it is written, to be named on the command line."""
        return self.run.__module__.rpartition(".")[2]


MEASUREMENTS: dict[str, Measurement] = {}


def measurement(
    name: str, storages: tuple[str, ...] = (SQLITE, MARIADB), long: bool = False
) -> Callable[[Measure], Measure]:
    """Make a function a measurement.

    :param storages: on which it is done.
    :param long: it takes minutes, and is left out by itself.
    """

    def made(run: Measure) -> Measure:
        MEASUREMENTS[name] = Measurement(name, run, storages, long)
        return run

    return made
