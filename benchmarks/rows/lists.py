"""Long answers: rows of files in every form, and the pages that a portal asks for."""

from collections.abc import Callable, Iterator

import orjson

from ..common.measure import Bench, Row, measurement, row
from ..common.raw import Database
from .calls import NEW
from .files import fill

COLUMNS = (
    "LFN, TransformationFiles.TransformationID, TransformationFiles.FileID, TransformationFiles.Status, ErrorCount,"
    " TaskID, TargetSE, UsedSE, LastUpdate, InsertedTime"
)
FROM = (
    "FROM TransformationFiles JOIN DataFiles ON DataFiles.FileID = TransformationFiles.FileID"
    " WHERE TransformationFiles.TransformationID = {} ORDER BY TransformationFiles.FileID"
)
NAMES = [column.rpartition(".")[2].strip() for column in COLUMNS.split(",")]


def dumped(database: Database, trans: int) -> int:
    """Read the rows with a cursor and make JSON of them; return the bytes."""
    rows = database.run(f"SELECT {COLUMNS} {FROM.format(trans)}")
    return len(orjson.dumps([dict(zip(NAMES, values, strict=True)) for values in rows], option=orjson.OPT_NAIVE_UTC))


def made(database: Database, trans: int) -> int:
    """Let the database make the JSON, an object a row; return the bytes."""
    pairs = ", ".join(f"'{name}', {column}" for name, column in zip(NAMES, COLUMNS.split(","), strict=True))
    rows = database.run(f"SELECT json_object({pairs}) {FROM.format(trans)}")
    return len(",".join(text for (text,) in rows))


def files(bench: Bench, count: int) -> Iterator[Row]:
    """All files of a transformation; compared with the database making the JSON."""
    url = bench.url()
    server = bench.server(url=url)
    trans = fill(server, "many", count)
    asked = {"TransformationID": trans}
    # those that need the least memory first: what one has grown by is not seen at the next
    forms = {
        "TLS, NDJSON": server.request("getTransformationFiles", asked, accept="application/x-ndjson"),
        "TLS, Arrow": server.request("getTransformationFiles", asked, accept="application/vnd.apache.arrow.stream"),
        "TLS": server.request("getTransformationFiles", asked),
        "DIRAC's wire": server.wire("getTransformationFiles", asked),
    }
    small = server.request("getTransformation", trans)
    beside = [bench.beside(server, [request], small) for request in forms.values()]
    database = Database(url)
    floors: list[Callable[[Database, int], int]] = [made, dumped]
    found = bench.turns(
        *(lambda _, r=request: bench.load(server, [r]) for request in forms.values()),
        *(lambda _, f=floor: bench.alone(lambda: f(database, trans)) for floor in floors),
    )
    database.close()
    for wire, samples, noticed in zip(forms, found, beside, strict=False):
        yield row(bench.name, samples, found[-2], wire=wire, floor="the database makes the JSON", **noticed)
    yield row(f"{bench.name}: cursor and orjson", found[-1], found[-2], floor="the database makes the JSON")


@measurement("getTransformationFiles 100,000")
def many(bench: Bench) -> Iterator[Row]:
    """As many as a large transformation has."""
    return files(bench, bench.size(100_000))


@measurement("getTransformationFiles 1,000,000", long=True)
def million(bench: Bench) -> Iterator[Row]:
    """As many as the largest has."""
    return files(bench, bench.size(1_000_000))


@measurement("getTransformationSummaryWeb, of 1,000")
def summaries(bench: Bench) -> Iterator[Row]:
    """The page of the web portal: 25 of 1,000 transformations with files, and all."""
    url, number = bench.url(), bench.size(1000)
    server = bench.server(url=url)
    first = fill(server, "t0", 10)
    for serial in range(1, number):
        server.call("addTransformation", f"t{serial}", *NEW)
        if serial % 10 == 0:
            server.call("addFilesToTransformation", f"t{serial}", [f"/bench/{serial}/{n}" for n in range(10)])
    database = Database(url)

    def floor(many: int) -> None:
        rows = database.run("SELECT * FROM Transformations ORDER BY TransformationID LIMIT ?", (many,))
        ids = [values[0] for values in rows]
        counts = "SELECT TransformationID, Kind, Status, SUM(N) FROM {} WHERE TransformationID IN {{}} GROUP BY 1, 2, 3"
        told = [database.among(counts.format(table), ids) for table in ("StatusCounts", "StatusDeltas")]
        orjson.dumps([rows, [[list(map(str, one)) for one in group] for group in told]], default=list)

    for many, name in ((25, bench.name.replace("of", "25 of")), (number, bench.name.replace("of", "all of"))):
        ours, wire, base = bench.turns(
            lambda _, m=many: bench.load(server, 5 * [server.request("getTransformationSummaryWeb", {}, [], 0, m)]),
            lambda _, m=many: bench.load(server, 5 * [server.wire("getTransformationSummaryWeb", {}, [], 0, m)]),
            lambda _, m=many: bench.alone(lambda: [floor(m) for _ in range(5)], 5),
        )
        beside = bench.beside(
            server,
            20 * [server.request("getTransformationSummaryWeb", {}, [], 0, many)],
            server.request("getTransformation", first),
        )
        what = "raw SELECTs of rows and counters, orjson"
        yield row(name, ours, base, wire="TLS", floor=what, **beside)
        yield row(name, wire, base, wire="DIRAC's wire", floor=what)
    database.close()
