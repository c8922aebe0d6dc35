"""Lists of transformations, files and tasks, and what is told of one transformation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..core.errors import NotFound
from ..core.identity import Transformation
from ..core.model import (
    CORE_PARAMETERS,
    FILE_COLUMNS,
    TRANSFORMATION_FILES,
    TRANSFORMATION_LOG,
    TRANSFORMATION_TASKS,
    TRANSFORMATIONS,
)
from ..storage.base import Row, chunks
from ..storage.where import Expression, Where, expressions, invalid
from .page import Page
from .parameters import additional, core
from .rows import FILE_SQL, TASK_SQL, TRANSFORMATION_SQL, Rows, only
from .work import Work, unknown

_HIDDEN = frozenset(TRANSFORMATIONS.columns) - frozenset(CORE_PARAMETERS)


def _added(work: Work) -> tuple[str, ...]:
    """Return the columns that the wire adds to what is told of a transformation (see ``Context.also``)."""
    also = work.context.also
    if not _HIDDEN.issuperset(also):
        raise ValueError(f"a wire may add {', '.join(sorted(_HIDDEN))}, not {', '.join(also)}")
    return also


def _described(work: Work, where: Where, tail: str = "", names: Sequence[str] = CORE_PARAMETERS) -> Rows:
    """Describe rows of ``Transformations t``, with what the wire adds after the core parameters."""
    shown = {name: TRANSFORMATION_SQL[name] for name in (*names, *_added(work))}
    return Rows(shown, "Transformations t", where, tail)


async def transformation(work: Work, trans: int | str, *, extra: bool = False) -> dict[str, Any]:
    """Return the core parameters of a transformation, and what the wire adds (see ``Context.also``).

    :param trans: id or name.
    :param extra: with the additional parameters before them.
    :raises NotFound: it does not exist, or reading it is not allowed.
    """
    rows = await _described(work, work.named(trans)).run(work)
    if not rows:
        raise unknown(trans)
    (row,) = await _with_additional(work, rows, [row["TransformationID"] for row in rows]) if extra else rows
    return row


async def row_of(work: Work, trans: Transformation) -> dict[str, Any]:
    """Return the same of a transformation that was found already."""
    (row,) = await _described(work, only(work, trans, "t.")).run(work)
    return row


async def additional_parameters(work: Work, trans: Transformation) -> dict[str, Any]:
    """Return the additional parameters of a transformation by name."""
    return (await additional(work, [trans.id])).get(trans.id, {})


async def parameters(work: Work, trans: Transformation, names: Sequence[str]) -> dict[str, Any]:
    """Return parameters of a transformation, core and additional ones.

    :raises NotFound: it has not all of them; ``data.missing`` lists those.
    """
    names = list(dict.fromkeys(names))
    columns = [name for name in names if name in CORE_PARAMETERS]
    found = await core(work, trans, columns) if columns else {}
    if len(columns) < len(names):
        found = {**await additional_parameters(work, trans), **found}
    if missing := [name for name in names if name not in found]:
        first = ", ".join(map(repr, missing[:10]))[:400]
        raise NotFound(f"Transformation {trans.name!r} has no parameter {first}", what="parameter", missing=missing)
    return {name: found[name] for name in names}


def transformations(work: Work, page: Page, columns: Sequence[str] | None = None) -> Rows:
    """Describe a list of transformations.

    :param columns: core parameters wanted, None for all; unknown names do not count.
    :raises InvalidParams: no known column, and see ``Page.clauses``.
    """
    wanted = CORE_PARAMETERS if columns is None else [name for name in CORE_PARAMETERS if name in columns]
    if not wanted:
        raise invalid("columns", [f"None is a column. Valid: {', '.join(CORE_PARAMETERS)}."])
    found = _described(work, *page.clauses(work, TRANSFORMATIONS, TRANSFORMATION_SQL, "t."), wanted)
    return replace(found, limit=page.limit, offset=page.offset)


async def with_additional(work: Work, rows: Rows) -> list[Row]:
    """Return the rows of a list of transformations, each with its additional parameters before the columns."""
    # whose they are, whether the list shows it or not
    keyed = replace(rows, columns={"id": TRANSFORMATION_SQL["TransformationID"], **rows.columns})
    found = await keyed.run(work)
    return await _with_additional(work, found, [row.pop("id") for row in found])


async def _with_additional(work: Work, rows: Sequence[Row], ids: Sequence[int]) -> list[Row]:
    extra = await additional(work, ids)
    return [{**extra.get(trans_id, {}), **row} for trans_id, row in zip(ids, rows, strict=True)]


async def with_status(work: Work, statuses: Sequence[str]) -> list[int]:
    """Return the ids of the transformations that have one of some statuses, ascending."""
    where = work.where(TRANSFORMATIONS, "t.")
    where.among("t.Status", statuses)
    sql = f"SELECT t.TransformationID FROM Transformations t WHERE {where.text} ORDER BY t.TransformationID"
    return await work.tx.fetch_column(sql, where.parameters)


def log_lines(work: Work, trans: Transformation) -> Rows:
    """Describe the lines about a transformation, oldest first.

    What the wire adds is of the transformation's author, and so null in the lines of others.
    """
    columns = dict(expressions(TRANSFORMATION_LOG, "l."))
    source = "TransformationLog l"
    if added := _added(work):
        source += " JOIN Transformations t ON t.TransformationID = l.TransformationID"
        for name in added:
            column = TRANSFORMATION_SQL[name]
            columns[name] = column._replace(sql=f"CASE WHEN t.Author = l.Author THEN {column.sql} END")
    return Rows(columns, source, only(work, trans, "l."), " ORDER BY l.recid")


def files(work: Work, page: Page, columns: Sequence[str] | None = None) -> Rows:
    """Describe a list of files of transformations; conditions and order may also name ``LFN``.

    :param columns: those wanted, in that order; None for all.
    :raises InvalidParams: unknown columns or none, and see ``Page.clauses``.
    """
    wanted = list(dict.fromkeys(FILE_COLUMNS if columns is None else columns))
    unknown = [name for name in wanted if name not in FILE_SQL]
    if unknown or not wanted:
        listed = ", ".join(unknown)[:200] or "none given"
        raise invalid("columns", [f"Not columns: {listed}. Valid: {', '.join(FILE_COLUMNS)}."])
    where, tail = page.clauses(work, TRANSFORMATION_FILES, FILE_SQL, "f.")
    # the order is that of TransformationFiles, so it is read first, unless names find their files faster
    join = "JOIN" if page.condDict and "LFN" in page.condDict else work.dialect.straight_join
    source = f"TransformationFiles f {join} DataFiles d ON d.FileID = f.FileID"
    return Rows({name: FILE_SQL[name] for name in wanted}, source, where, tail, page.limit, page.offset)


async def files_by_name(work: Work, lfns: Sequence[str]) -> dict[str, dict[str, Row]]:
    """Return the rows of files in transformations by name and, as text, TransformationID; unknown names are left out.

    :param lfns: any number.
    """
    source = (
        f"{work.dialect.array('lfns')} AS wanted {work.dialect.straight_join} DataFiles d ON d.LFN = wanted.value"
        " JOIN TransformationFiles f ON f.FileID = d.FileID"
    )
    found: dict[str, dict[str, Row]] = {}
    for chunk in chunks(list(dict.fromkeys(lfns))):
        where = work.where(TRANSFORMATION_FILES, "f.")
        where.parameters["lfns"] = work.dialect.pack(chunk)
        for row in await Rows(FILE_SQL, source, where, " ORDER BY wanted.position, f.TransformationID").run(work):
            found.setdefault(row["LFN"], {})[str(row["TransformationID"])] = row
    return found


def tasks(work: Work, page: Page, *, input_vector: bool = False) -> Rows:
    """Describe a list of tasks of transformations.

    :param input_vector: with the LFNs of each, joined by ``;``.
    :raises InvalidParams: see ``Page.clauses``.
    """
    where, tail = page.clauses(work, TRANSFORMATION_TASKS, TASK_SQL, "t.")
    if not input_vector:
        return Rows(TASK_SQL, "TransformationTasks t", where, tail, page.limit, page.offset)
    columns = {**TASK_SQL, "InputVector": Expression("COALESCE(i.InputVector, '')", "text", long=True)}
    inputs = "TaskInputs i ON i.TransformationID = t.TransformationID AND i.TaskID = t.TaskID"
    return Rows(columns, f"TransformationTasks t LEFT JOIN {inputs}", where, tail, page.limit, page.offset)
