"""The files of a transformation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core import fields, values
from ..core.errors import InvalidParams
from ..core.identity import Owner
from ..core.model import DATA_FILES, FILE_COLUMNS, TRANSFORMATION_FILES, Column
from ..core.values import BadValue
from ..plugin.marker import hookimpl
from ..rpc.call import Call
from ..rpc.method import Method
from ..storage.base import Transaction, chunks
from ..storage.where import Where
from . import status
from .listing import after_field, clauses, columns_field, key, list_fields, missing, offset_field, wire

CONDITION_COLUMNS = {"LFN": DATA_FILES.columns["LFN"], **TRANSFORMATION_FILES.columns}
"""What conditions on files may name."""
COUNTED = TRANSFORMATION_FILES.columns
DAYS = {f"date({name})": name for name in TRANSFORMATION_FILES.dates}


def selected(columns: Iterable[str]) -> str:
    """Return the select list of file columns over the tables ``TransformationFiles f`` and ``DataFiles d``."""
    return ", ".join("d.LFN" if name == "LFN" else f"f.{name}" for name in columns)


async def add_files(tx: Transaction, call: Call, trans_id: int, lfns: Iterable[str]) -> dict[str, str]:
    """Make files files of a transformation and return what happened to each: ``Added`` or ``Present``.

    Unknown LFNs become DataFiles, their FileIDs in the order of *lfns*. The transformation must exist. A file that
    is there as Deleted stays so: only the catalog brings it back (``offers.py``).

    :raises InvalidState: a plugin's rule forbids it.
    """
    result: dict[str, str] = {}
    for chunk in chunks(list(dict.fromkeys(lfns))):
        result.update(await _add_chunk(tx, call, trans_id, chunk))
    if "Added" in result.values():
        status.check(call, "file", [(None, "Unused")])
    return result


async def _add_chunk(tx: Transaction, call: Call, trans_id: int, lfns: Sequence[str]) -> dict[str, str]:
    dialect = tx.dialect
    wanted = dialect.array("lfns")
    known = await tx.fetch_all(
        f"SELECT d.LFN, d.FileID, f.Status FROM {wanted} AS wanted"
        f" {dialect.straight_join} DataFiles d ON d.LFN = wanted.value"
        " LEFT JOIN TransformationFiles f ON f.TransformationID = :trans AND f.FileID = d.FileID",
        {"lfns": dialect.pack(lfns), "trans": trans_id},
    )
    ids = {row["LFN"]: row["FileID"] for row in known}
    present = {row["LFN"] for row in known if row["Status"] is not None}
    added = [lfn for lfn in lfns if lfn not in present]
    new = [lfn for lfn in added if lfn not in ids]
    if new:
        insert = dialect.insert_new_rows("DataFiles", ["LFN", "Status"], ["LFN"])
        await tx.executemany(insert, [{"LFN": lfn, "Status": "New"} for lfn in new])
        rows = await tx.fetch_all(
            f"SELECT d.LFN, d.FileID FROM {wanted} AS wanted {dialect.straight_join} DataFiles d"
            " ON d.LFN = wanted.value",
            {"lfns": dialect.pack(new)},
        )
        ids.update((row["LFN"], row["FileID"]) for row in rows)
    if added:
        values = {
            "TransformationID": ":trans",
            "FileID": "value",
            "Status": "'Unused'",
            "LastUpdate": ":now",
            "InsertedTime": ":now",
        }
        named = ", ".join(f"{value} AS {column}" for column, value in values.items())
        select = f"SELECT {named} FROM {dialect.array('ids', 'int')} AS added"
        await tx.execute(
            dialect.insert_new("TransformationFiles", list(values), select, TRANSFORMATION_FILES.key),
            {"trans": trans_id, "ids": dialect.pack([ids[lfn] for lfn in added]), "now": call.timestamp},
        )
    return {lfn: "Present" if lfn in present else "Added" for lfn in lfns}


async def add_files_to_transformation(call: Call, transName: int | str, lfns: list[str]) -> dict[str, dict[str, str]]:
    """Add files to a transformation by name; new ones are Unused.

    All or nothing; a name that is listed twice counts once.

    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    """

    async def body(tx: Transaction, owner: Owner) -> dict[str, str]:
        return await add_files(tx, call, owner.id, lfns)

    return {"Successful": await call.change(transName, body), "Failed": {}}


async def get_files(
    call: Call,
    condDict: dict[str, Any] | None,
    older: str | None,
    newer: str | None,
    timeStamp: str | None,
    orderAttribute: list[str] | None,
    limit: int | None,
    offset: int | None,
    columns: list[str] | None,
    after: list[int] | None,
) -> list[dict[str, Any]]:
    """List files of transformations, in the order of TransformationID and FileID unless asked otherwise.

    ``condDict`` and ``orderAttribute`` may also name ``LFN``.

    :raises InvalidParams: an unknown column, a value that does not fit, no columns.
    """
    wanted = list(dict.fromkeys(FILE_COLUMNS if columns is None else columns))
    unknown = [name for name in wanted if name not in FILE_COLUMNS]
    if unknown or not wanted:
        message = f"Not columns: {', '.join(unknown)[:200] or 'none given'}. Valid: {', '.join(FILE_COLUMNS)}."
        raise InvalidParams("Invalid parameter columns", errors={"columns": [message]})
    where, tail = clauses(
        call,
        TRANSFORMATION_FILES,
        condDict=condDict,
        older=older,
        newer=newer,
        timeStamp=timeStamp,
        orderAttribute=orderAttribute,
        limit=limit,
        offset=offset,
        after=after,
        columns=CONDITION_COLUMNS,
        prefix="f.",
    )

    # the order is that of TransformationFiles, so it is read first, unless names find their files faster
    join = "JOIN" if condDict and "LFN" in condDict else call.storage.dialect.straight_join
    joined = f"TransformationFiles f {join} DataFiles d ON d.FileID = f.FileID"

    async def body(tx: Transaction) -> list[dict[str, Any]]:
        return await tx.fetch_all(f"SELECT {selected(wanted)} FROM {joined} WHERE {where.text}{tail}", where.parameters)

    return wire(await call.read(body), TRANSFORMATION_FILES)


class FileStatuses(fields.Field):
    """New statuses by file id: a status, or ``[status, errorFlag]``. Loads a dict of (status, errors to add) by id."""

    def _own_schema(self) -> fields.JSONSchema:
        word = {"type": "string", "maxLength": 32}
        pair = {
            "type": "array",
            "items": [word, {"type": "boolean"}],
            "minItems": 2,
            "maxItems": 2,
        }
        return {
            "type": "object",
            "propertyNames": {"pattern": "^-?[0-9]+$"},
            "additionalProperties": {"anyOf": [word, pair]},
        }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[int, tuple[str, int]]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        loaded: dict[int, tuple[str, int]] = {}
        for name, wanted in value.items():
            word, flag = wanted if type(wanted) is list and len(wanted) == 2 else (wanted, False)
            try:
                if type(flag) is not bool or type(word) is not str:
                    raise BadValue("Must be a status or [status, errorFlag].")
                loaded[values.identifier(name)] = values.text(word, 32), int(flag)
            except BadValue as error:
                raise BadValue({name: error.messages}) from None
        return loaded


async def set_file_status(call: Call, transName: int | str, dictOfNewFilesStatus: dict[int, tuple[str, int]]) -> None:
    """Set the status of files in a transformation, all or none; with errorFlag true the ErrorCount grows by one.

    :raises NotFound: no such transformation, or file ids that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    changes = [[file_id, *change] for file_id, change in dictOfNewFilesStatus.items()]

    async def body(tx: Transaction, owner: Owner) -> None:
        source = tx.dialect.records("rows", FileID="int", Status="text", Errors="int")
        on = "target.TransformationID = :trans AND target.FileID = source.FileID"
        update = tx.dialect.update_join(
            "TransformationFiles",
            source,
            on,
            {
                "Status": "source.Status",
                "ErrorCount": "target.ErrorCount + source.Errors",
                "LastUpdate": ":now",
            },
        )
        for chunk in chunks(changes):
            parameters = {"trans": owner.id, "rows": tx.dialect.pack(chunk)}
            pairs = (
                f"target.Status AS old, source.Status AS new FROM {source} AS source JOIN TransformationFiles target"
            )
            await status.check_rows(tx, call, "file", f"{pairs} ON {on}", parameters)
            if await tx.execute(update, {**parameters, "now": call.timestamp}) != len(chunk):
                raise await missing(tx, owner, TRANSFORMATION_FILES, "file", list(dictOfNewFilesStatus))

    await call.change(transName, body)


async def get_stats(call: Call, transName: int | str) -> dict[str, int]:
    """Count a transformation's files by status, statuses with ``-`` (the inherited ones) left out.

    :raises NotFound: no such transformation.
    """

    async def body(tx: Transaction) -> dict[str, int]:
        owner = await call.find(tx, transName)
        rows = await tx.fetch_all(
            "SELECT Status, COUNT(*) AS n FROM TransformationFiles WHERE TransformationID = :trans"
            " GROUP BY Status ORDER BY Status",
            {"trans": owner.id},
        )
        return {row["Status"]: row["n"] for row in rows if "-" not in row["Status"]}

    counts = await call.read(body)
    return {**counts, "Total": sum(counts.values())}


async def count_files(call: Call, transName: int | str, field: str, selection: dict[str, Any] | None) -> dict[str, int]:
    """Count a transformation's files by the values of a column.

    :raises NotFound: no such transformation.
    :raises InvalidParams: an unknown column, or a value that does not fit.
    """
    column: Column = COUNTED[DAYS.get(field, field)]
    where = Where(call.storage.dialect)
    conditions = {name: value for name, value in (selection or {}).items() if name != "TransformationID"}
    where.conditions("TransformationFiles", conditions, parameter="selection")

    async def body(tx: Transaction) -> list[dict[str, Any]]:
        owner = await call.find(tx, transName)
        expression = tx.dialect.day(column.name) if field in DAYS else column.name
        return await tx.fetch_all(
            f"SELECT {expression} AS value, COUNT(*) AS n FROM TransformationFiles"
            f" WHERE TransformationID = :trans AND {where.text} GROUP BY value ORDER BY value",
            {"trans": owner.id, **where.parameters},
        )

    rows = await call.read(body)
    kind = "text" if field in DAYS else column.kind
    counts = {key(row["value"], kind): row["n"] for row in rows}
    return {**counts, "Total": sum(counts.values())}


async def get_file_summary(call: Call, lfns: list[str]) -> dict[str, dict[str, Any]]:
    """Tell in which transformations files are, and how they fare there."""

    async def body(tx: Transaction) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        where = Where(tx.dialect)
        where.readable(call, "f.TransformationID")
        for chunk in chunks(list(dict.fromkeys(lfns))):
            found += await tx.fetch_all(
                f"SELECT {selected(FILE_COLUMNS)} FROM {tx.dialect.array('lfns')} AS wanted"
                f" {tx.dialect.straight_join} DataFiles d ON d.LFN = wanted.value"
                " JOIN TransformationFiles f ON f.FileID = d.FileID"
                f" WHERE {where.text} ORDER BY wanted.position, f.TransformationID",
                {"lfns": tx.dialect.pack(chunk), **where.parameters},
            )
        return found

    successful: dict[str, dict[str, Any]] = {}
    for row in wire(await call.read(body), TRANSFORMATION_FILES):
        successful.setdefault(row["LFN"], {})[str(row["TransformationID"])] = row
    failed = {lfn: "not in any transformation" for lfn in lfns if lfn not in successful}
    return {"Successful": successful, "Failed": failed}


@hookimpl
def register_methods(settings: Mapping[str, Any]) -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    yield Method(
        "addFilesToTransformation",
        add_files_to_transformation,
        {
            "transName": trans,
            "lfns": fields.Texts(minimum=1, required=True, metadata={"description": "names of files"}),
        },
        result='{"Successful": {lfn: "Added" | "Present"}, "Failed": {}}',
        right=True,
        schema={"type": "object"},
    )
    yield Method(
        "getTransformationFiles",
        get_files,
        {
            **list_fields("LastUpdate"),
            "offset": offset_field(),
            "columns": columns_field(),
            "after": after_field(pair=True),
        },
        result=f"list of objects with {', '.join(FILE_COLUMNS)}, or the columns asked for",
        schema={"type": "array", "items": {"type": "object"}},
    )
    statuses = FileStatuses(required=True, metadata={"description": "fileID: [status, errorFlag] or status"})
    yield Method(
        "setFileStatusForTransformation",
        set_file_status,
        {"transName": trans, "dictOfNewFilesStatus": statuses},
        result="null",
        right=True,
        schema={"type": "null"},
    )
    yield Method(
        "getTransformationStats",
        get_stats,
        {"transName": trans},
        result='{status: number of files, "Total": number}',
        schema={"type": "object", "additionalProperties": {"type": "integer"}},
    )
    yield Method(
        "getTransformationFilesCount",
        count_files,
        {
            "transName": trans,
            "field": fields.Choice(
                *COUNTED, *DAYS, required=True, metadata={"description": "column whose values are counted"}
            ),
            "selection": fields.Object(
                allow_none=True,
                load_default=dict,
                metadata={"description": "conditions on columns; a TransformationID in it does not count"},
            ),
        },
        result='{value: number of files, "Total": number}',
        schema={"type": "object", "additionalProperties": {"type": "integer"}},
    )
    yield Method(
        "getFileSummary",
        get_file_summary,
        {"lfns": fields.Texts(required=True, metadata={"description": "names of files"})},
        result='{"Successful": {lfn: {transformation id: file}}, "Failed": {lfn: reason}}',
        schema={"type": "object"},
    )
