"""Tables, columns, statuses and limits: plain data, as section 4 of the specification has them."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

ColumnKind = Literal["int", "float", "text", "date"]

FieldType = Literal["int", "float", "date", "string"]
"""Type of a metadata field of the file catalog."""
FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)
Metadata = dict[str, Any]
"""A file's or directory's metadata by field."""

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -MAX_INTEGER


@dataclass(frozen=True, slots=True)
class Column:
    """A column that conditions, ``columns`` and counters may name.

    :param name: the column's name, exactly as on the wire.
    :param kind: how values compare.
    :param length: the longest text in characters; None where only ``server.max_body`` limits it.
    """

    name: str
    kind: ColumnKind = "text"
    length: int | None = 255


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the interface.

    :param name: the table's name in the database.
    :param columns: by name, in the order answers list them.
    :param key: the primary key, which is also the order of rows without an ``orderAttribute``.
    """

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...]

    @property
    def dates(self) -> tuple[str, ...]:
        """The names of the date columns."""
        return tuple(c.name for c in self.columns.values() if c.kind == "date")


def _table(name: str, key: tuple[str, ...], *columns: Column) -> Table:
    return Table(name, {c.name: c for c in columns}, key)


def _integer(name: str) -> Column:
    return Column(name, "int", None)


def _date(name: str) -> Column:
    return Column(name, "date", None)


TRANSFORMATIONS = _table(
    "Transformations",
    ("TransformationID",),
    _integer("TransformationID"),
    Column("TransformationName"),
    Column("Description"),
    Column("LongDescription", length=65535),
    _date("CreationDate"),
    _date("LastUpdate"),
    Column("Author"),
    Column("AuthorDN"),
    Column("AuthorGroup"),
    Column("Type", length=32),
    Column("Plugin", length=32),
    Column("AgentType", length=32),
    Column("Status", length=32),
    Column("FileMask"),
    Column("TransformationGroup"),
    Column("GroupSize", "float", None),
    _integer("InheritedFrom"),
    Column("Body", length=None),
    _integer("MaxNumberOfTasks"),
    _integer("EventsPerTask"),
    Column("TransformationFamily", length=64),
)
# AuthorDN may be in conditions, never in answers
CORE_PARAMETERS = tuple(name for name in TRANSFORMATIONS.columns if name != "AuthorDN")
MUTABLE_PARAMETERS = (
    "TransformationName",
    "Description",
    "LongDescription",
    "AgentType",
    "Status",
    "GroupSize",
    "MaxNumberOfTasks",
    "TransformationFamily",
    "Body",
)

DATA_FILES = _table("DataFiles", ("FileID",), _integer("FileID"), Column("LFN"), Column("Status", length=32))
# In answers a file row also has its LFN, which lives in DataFiles.
TRANSFORMATION_FILES = _table(
    "TransformationFiles",
    ("TransformationID", "FileID"),
    _integer("TransformationID"),
    _integer("FileID"),
    Column("Status", length=32),
    _integer("TaskID"),
    Column("TargetSE"),
    Column("UsedSE"),
    _integer("ErrorCount"),
    _date("LastUpdate"),
    _date("InsertedTime"),
)
FILE_COLUMNS = ("LFN", *TRANSFORMATION_FILES.columns)
TRANSFORMATION_TASKS = _table(
    "TransformationTasks",
    ("TransformationID", "TaskID"),
    _integer("TaskID"),
    _integer("TransformationID"),
    Column("ExternalStatus", length=16),
    Column("ExternalID", length=16),
    Column("TargetSE"),
    _date("CreationTime"),
    _date("LastUpdateTime"),
)
TASK_COLUMNS = tuple(TRANSFORMATION_TASKS.columns)
ADDITIONAL_PARAMETERS = _table(
    "AdditionalParameters",
    ("TransformationID", "ParameterName"),
    _integer("TransformationID"),
    Column("ParameterName", length=32),
    Column("ParameterValue", length=None),
    Column("ParameterType", length=32),
)
TRANSFORMATION_FILE_TASKS = _table(
    "TransformationFileTasks",
    ("TransformationID", "FileID", "TaskID"),
    _integer("TransformationID"),
    _integer("FileID"),
    _integer("TaskID"),
)
TASK_INPUTS = _table(
    "TaskInputs",
    ("TransformationID", "TaskID"),
    _integer("TransformationID"),
    _integer("TaskID"),
    Column("InputVector", length=None),
)
META_QUERIES = _table(
    "TransformationMetaQueries",
    ("TransformationID", "MetaDataName", "QueryType"),
    _integer("TransformationID"),
    Column("MetaDataName"),
    Column("MetaDataValue", length=65535),
    Column("MetaDataType", length=8),
    Column("QueryType"),
)
TRANSFORMATION_LOG = _table(
    "TransformationLog",
    ("TransformationID", "recid"),
    _integer("TransformationID"),
    Column("Message"),
    Column("Author"),
    _date("MessageDate"),
)
BULK_OPERATIONS = _table(
    "BulkOperations",
    ("BulkID",),
    _integer("BulkID"),
    Column("State", length=16),
    _integer("Done"),
    _integer("Skipped"),
    _integer("Total"),
    Column("Refused", length=None),
    Column("Author"),
    _date("Started"),
    _date("Finished"),
    Column("What", length=16),
    Column("Action", length=16),
)
"""What is told of a bulk operation (section 8.4); no condition of others knows the table."""
TABLES = {
    table.name: table
    for table in (
        TRANSFORMATIONS,
        ADDITIONAL_PARAMETERS,
        DATA_FILES,
        TRANSFORMATION_FILES,
        TRANSFORMATION_TASKS,
        TRANSFORMATION_FILE_TASKS,
        TASK_INPUTS,
        META_QUERIES,
        TRANSFORMATION_LOG,
    )
}
"""The tables that conditions and counters know, by name."""

INHERITED_TASK_FACTOR = 1_000_000
QUERY_TYPES = ("Input", "Output")
LOG_LENGTH = 252
