"""The demo's tables: what must be there, what the server says, what the database holds."""

from typing import Any

from rich.console import Console
from rich.table import Table

from .count import Counts
from .production import SIMULATED, Production

Check = tuple[str, int, Any, Any]


def checks(
    production: Production, stats: dict[int, dict[str, Counts]], counted: dict[int, dict[str, Counts]]
) -> list[Check]:
    """Return (quantity, expected, server, database) for every number that the production must come to.

    :param stats: the server's file and task statistics by transformation id.
    :param counted: the independent count by transformation id (see ``count``).
    """
    expected, main, derived = production.expected, production.main, production.derived
    tasks, failed, simulated = len(expected.sizes), len(expected.failed), sum(SIMULATED)

    def row(title: str, trans: int, kind: str, key: str, number: int) -> Check:
        server = stats[trans][kind].get(key, 0)
        return title, number, server, counted[trans][kind].get(key, 0)

    def database(title: str, trans: int, kind: str, key: str, number: int) -> Check:
        return title, number, None, counted[trans][kind].get(key, 0)

    return [
        row("files processed", main, "files", "Processed", expected.files),
        database("different file names", main, "names", "distinct", expected.files),
        database("files processed at the first try", main, "retried", "0", expected.files - expected.retried_files),
        database("files processed after one failure", main, "retried", "1", expected.retried_files),
        row("tasks done", main, "tasks", "Done", tasks - failed),
        row("tasks failed", main, "tasks", "Failed", failed),
        ("tasks reported once", tasks, sum(times == 1 for times in expected.taken.values()), None),
        database("different task numbers", main, "numbers", "distinct", tasks),
        database("highest task number", main, "numbers", "highest", tasks),
        row("simulation tasks done", production.simulation, "tasks", "Done", simulated),
        (
            "files inherited by the derived transformation",
            expected.files,
            None,
            counted[derived]["files"].get("Processed-inherited", 0),
        ),
    ]


def show(console: Console, found: list[Check]) -> bool:
    """Print the table; return whether every number is what it must be."""
    table = Table("quantity", "expected", "server", "database", "", title="The books")
    right = True
    for title, number, server, database in found:
        good = all(value is None or value == number for value in (server, database))
        right = right and good
        cells = ["-" if value is None else f"{value:,}" for value in (number, server, database)]
        table.add_row(title, *cells, "ok" if good else "[red]wrong")
    console.print(table)
    return right


def summary(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print the transformations as the server's summary has them."""
    table = Table("id", "name", "type", "status", "files", "tasks", "by task status", title="Transformations")
    table.columns[1].overflow = "fold"
    for row in rows:
        jobs = dict(row["JobStats"])
        total = jobs.pop("TotalCreated", 0)
        statuses = ", ".join(f"{status} {number}" for status, number in sorted(jobs.items()))
        columns = ("TransformationID", "TransformationName", "Type", "Status", "NumberOfFiles")
        table.add_row(*(str(row[column]) for column in columns), str(total), statuses)
    console.print(table)
