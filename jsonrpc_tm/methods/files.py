"""The files of a transformation."""

from collections.abc import Iterable
from typing import Any

from ..core import fields, values
from ..core.errors import InvalidState
from ..core.identity import Transformation
from ..core.model import FILE_COLUMNS, TRANSFORMATION_FILES
from ..core.values import BadValue
from ..domain import reports, tallies
from ..domain.attributes import identify
from ..domain.page import Page
from ..domain.rows import Rows
from ..domain.transitions import file_machine
from ..domain.transitions import files as moves
from ..domain.work import Held, Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Change, Method, Read
from ..storage.where import Comparison
from .lists import after_field, columns_field, list_fields, offset_field


async def add_files(work: Work, transformation: Held, lfns: list[str]) -> dict[str, dict[str, str]]:
    """Add files to a transformation by name; new ones are Unused.

    All or nothing; a name that is listed twice counts once.

    :raises InvalidParams: a name that no new file may have (``files.pattern``).
    :raises NotFound: no such transformation.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids it.
    """
    return {"Successful": await moves.add_named(work, transformation, lfns), "Failed": {}}


async def get_files(work: Work, columns: list[str] | None, **page: Any) -> Rows:
    """List files of transformations, in the order of TransformationID and FileID unless asked otherwise.

    ``condDict`` and ``orderAttribute`` may also name ``LFN``.

    :raises InvalidParams: an unknown column, a value that does not fit, no columns.
    """
    return reports.files(work, Page(**page), columns)


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


async def set_file_status(work: Work, transformation: Held, dictOfNewFilesStatus: dict[int, tuple[str, int]]) -> None:
    """Set the status of files in a transformation, all or none; with errorFlag true the ErrorCount grows by one.

    :raises NotFound: no such transformation, or file ids that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    await moves.report(work, transformation, dictOfNewFilesStatus)


class NewStatuses(fields.Field):
    """New statuses by name of the file."""

    schema = {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": 255},
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 32},
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        loaded: dict[str, str] = {}
        for lfn, word in value.items():
            try:
                loaded[values.text(lfn, 255, empty=False)] = values.text(word, 32, empty=False)
            except BadValue as error:
                raise BadValue({lfn: error.messages}) from None
        return loaded


async def report_statuses(work: Work, transformation: Held, statuses: dict[str, str], force: bool) -> dict[str, str]:
    """Set the status of files by name as the state machine allows; return {lfn: status} of those that changed.

    Leaving Assigned for anything but Processed adds one to ErrorCount. Processed is final, MaxReset does not go back to
    Unused, and a file asked back to Unused whose ErrorCount then is a multiple of ``transformations.max_reset_count``
    becomes MaxReset; *force* overrides these three. Moves that are refused are left out; repeating a report changes
    nothing.

    :raises NotFound: no such transformation, or files that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    ids = await identify(work, transformation, "file", list(statuses))
    wanted = {ids[lfn]: status for lfn, status in statuses.items()}
    moved = (await file_machine.move_files(work, transformation, wanted, force=force)).moved
    return {lfn: moved[ids[lfn]] for lfn in statuses if ids[lfn] in moved}


async def reset_error_count(work: Work, transformation: Held, lfns: list[str]) -> int:
    """Let files count their errors anew; those that are MaxReset become Unused. Return the number of files.

    :raises NotFound: no such transformation, or files that are not in it, which ``data.missing`` lists.
    :raises Forbidden: no right on it.
    :raises InvalidState: a plugin's rule forbids a change.
    """
    ids = list((await identify(work, transformation, "file", list(dict.fromkeys(lfns)))).values())
    await file_machine.reset_errors(work, transformation, ids)
    return len(ids)


async def get_stats(work: Work, transformation: Transformation) -> dict[str, int]:
    """Count a transformation's files by status, statuses with ``-`` (the inherited ones) left out.

    :raises NotFound: no such transformation.
    """
    return await tallies.file_statuses(work, transformation)


async def read_selection(outside: Outside, selection: dict[str, Any] | None) -> tuple[Comparison, ...]:
    """Refuse conditions that do not fit before the transformation is looked for."""
    return tallies.file_selection(selection)


async def count_files(
    work: Work,
    transformation: Transformation,
    conditions: tuple[Comparison, ...],
    field: str,
    selection: dict[str, Any] | None,
) -> dict[str, int]:
    """Count a transformation's files by the values of a column.

    :raises NotFound: no such transformation.
    :raises InvalidParams: an unknown column, or a value that does not fit.
    """
    return await tallies.files_by(work, transformation, field, conditions)


async def get_file_summary(work: Work, lfns: list[str]) -> dict[str, dict[str, Any]]:
    """Tell in which transformations files are, and how they fare there."""
    found = await reports.files_by_name(work, lfns)
    failed = {lfn: "not in any transformation" for lfn in lfns if lfn not in found}
    return {"Successful": found, "Failed": failed}


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    trans = fields.Transformation(required=True)
    yield Method(
        "addFilesToTransformation",
        add_files,
        {
            "transName": trans,
            "lfns": fields.Texts(minimum=1, required=True, metadata={"description": "names of files"}),
        },
        access=Change("transName"),
        errors=(InvalidState,),
        result=results.by_file({"enum": ["Added", "Present"]}, "what happened to each file"),
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
        access=Read(),
        result=results.listed(
            results.SOME_OF_A_FILE, f"objects with {', '.join(FILE_COLUMNS)}, or the columns asked for"
        ),
        streams=1000,
    )
    statuses = FileStatuses(required=True, metadata={"description": "fileID: [status, errorFlag] or status"})
    yield Method(
        "setFileStatusForTransformation",
        set_file_status,
        {"transName": trans, "dictOfNewFilesStatus": statuses},
        access=Change("transName", shared=True),
        errors=(InvalidState,),
        result=results.NULL,
    )
    yield Method(
        "setFileStatus",
        report_statuses,
        {
            "transName": trans,
            "statuses": NewStatuses(required=True, metadata={"description": "new status by name of the file"}),
            "force": fields.Boolean(
                load_default=False, metadata={"description": "make every move, whatever the state machine says"}
            ),
        },
        access=Change(shared=True),
        errors=(InvalidState,),
        result=results.mapped(results.TEXT, "{lfn: the status that it has now} of the files that changed"),
    )
    yield Method(
        "resetErrorCount",
        reset_error_count,
        {"transName": trans, "lfns": fields.Texts(required=True, metadata={"description": "names of files"})},
        access=Change(shared=True),
        errors=(InvalidState,),
        result=results.said(results.INTEGER, "the number of files"),
    )
    yield Method(
        "getTransformationStats",
        get_stats,
        {"transName": trans},
        access=Read("transName"),
        result=results.totalled("Total", "number of files by status, and of all of these"),
    )
    counted = [*TRANSFORMATION_FILES.columns, *tallies.days(TRANSFORMATION_FILES)]
    yield Method(
        "getTransformationFilesCount",
        count_files,
        {
            "transName": trans,
            "field": fields.Choice(
                *counted, required=True, metadata={"description": "column whose values are counted"}
            ),
            "selection": fields.Object(
                allow_none=True,
                load_default=dict,
                metadata={"description": "conditions on columns; a TransformationID in it does not count"},
            ),
        },
        access=Read("transName"),
        prepare=read_selection,
        result=results.totalled("Total", "number of files by value, and of all that were counted"),
    )
    yield Method(
        "getFileSummary",
        get_file_summary,
        {"lfns": fields.Texts(required=True, metadata={"description": "names of files"})},
        access=Read(),
        result=results.by_file(results.mapped(results.FILE), "the file's rows by transformation id"),
    )
