"""The second, independent count of the demo: plain SQL on the database, past the server and its storage layer."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

Counts = dict[str, int]

_QUERIES = {
    "files": "SELECT Status, COUNT(*) FROM TransformationFiles WHERE TransformationID = {id} GROUP BY Status",
    "tasks": "SELECT ExternalStatus, COUNT(*) FROM TransformationTasks WHERE TransformationID = {id}"
    " GROUP BY ExternalStatus",
    "numbers": "SELECT 'distinct', COUNT(DISTINCT TaskID) FROM TransformationTasks WHERE TransformationID = {id}"
    " UNION ALL SELECT 'highest', MAX(TaskID) FROM TransformationTasks WHERE TransformationID = {id}",
    "retried": "SELECT ErrorCount, COUNT(*) FROM TransformationFiles WHERE TransformationID = {id} GROUP BY ErrorCount",
    "names": "SELECT 'distinct', COUNT(DISTINCT d.LFN) FROM TransformationFiles f"
    " JOIN DataFiles d ON d.FileID = f.FileID WHERE f.TransformationID = {id}",
}


def count(url: str, trans: int) -> dict[str, Counts]:
    """Count a transformation's files and tasks by status in the database at *url*.

    :param url: ``sqlite:///file`` (absolute or relative to the working folder) or ``mysql://user:password@host/db``.
    """
    return {
        name: {str(key): value for key, value in _rows(url, query.format(id=int(trans)))}
        for name, query in _QUERIES.items()
    }


def _rows(url: str, sql: str) -> Iterable[tuple[Any, int]]:
    if url.startswith("sqlite"):
        with sqlite3.connect(
            f"{Path(url.removeprefix('sqlite:///')).resolve().as_uri()}?mode=ro", uri=True
        ) as database:
            rows = database.execute(sql).fetchall()
        database.close()
        return rows
    parts = urlsplit(url)
    host, _, port = (parts.netloc.rpartition("@")[2].split(",")[0]).partition(":")
    connection = pymysql.connect(
        host=host,
        port=int(port or 3306),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
