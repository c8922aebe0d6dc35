"""JSON Schemas of results, made from the tables of the interface."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.model import (
    CORE_PARAMETERS,
    DATA_FILES,
    FILE_COLUMNS,
    TASK_COLUMNS,
    TRANSFORMATION_FILES,
    TRANSFORMATION_LOG,
    TRANSFORMATION_TASKS,
    TRANSFORMATIONS,
    Column,
)

ResultSchema = Mapping[str, Any]

NULL: ResultSchema = {"type": "null", "description": "null"}
"""null."""
INTEGER: ResultSchema = {"type": "integer"}
"""An integer."""
TEXT: ResultSchema = {"type": "string"}
"""A text."""
BOOLEAN: ResultSchema = {"type": "boolean"}
"""true or false."""
ANYTHING: ResultSchema = {}
"""Any JSON value."""
NUMBER: ResultSchema = {"type": "number"}
"""A number."""
MOMENT: ResultSchema = {"type": "string", "format": "date-time"}
"""A date-time in the form of answers."""
_KINDS = {"int": "integer", "float": "number", "text": "string"}


def said(schema: ResultSchema, text: str) -> ResultSchema:
    """Return *schema* with its meaning in words."""
    return {**schema, "description": text}


def nullable(schema: ResultSchema) -> ResultSchema:
    """Return the schema of null and what *schema*, which has one type, says."""
    return {**schema, "type": [schema["type"], "null"]}


def listed(items: ResultSchema, text: str = "") -> ResultSchema:
    """Return the schema of a list."""
    schema = {"type": "array", "items": items}
    return said(schema, text) if text else schema


def mapped(values: ResultSchema, text: str = "") -> ResultSchema:
    """Return the schema of an object whose names are not known beforehand."""
    schema = {"type": "object", "additionalProperties": values}
    return said(schema, text) if text else schema


def members(text: str = "", /, *, optional: Iterable[str] = (), **properties: ResultSchema) -> ResultSchema:
    """Return the schema of an object with known members.

    :param optional: those that may be missing.
    """
    required = [name for name in properties if name not in set(optional)]
    schema: ResultSchema = {"type": "object", "properties": dict(properties), "required": required}
    return said(schema, text) if text else schema


def extended(schema: ResultSchema, text: str, **properties: ResultSchema) -> ResultSchema:
    """Return the schema of an object that has more members than *schema* says."""
    more = members(text, **properties)
    return {
        **more,
        "properties": {**schema["properties"], **more["properties"]},
        "required": [*schema["required"], *more["required"]],
    }


def column(column: Column) -> ResultSchema:
    """Return the schema of a column's values in answers."""
    return nullable(MOMENT if column.kind == "date" else {"type": _KINDS[column.kind]})


def row(names: Iterable[str], columns: Mapping[str, Column], text: str = "", *, partly: bool = False) -> ResultSchema:
    """Return the schema of a row.

    :param partly: columns may be left out, because the caller picks some.
    """
    properties = {name: column(columns[name]) for name in names}
    return members(text, optional=properties if partly else (), **properties)


TRANSFORMATION = row(CORE_PARAMETERS, TRANSFORMATIONS.columns)
"""The core parameters of a transformation."""
SOME_OF_A_TRANSFORMATION = row(CORE_PARAMETERS, TRANSFORMATIONS.columns, partly=True)
"""The same where the caller picks columns."""
_FILE = {"LFN": DATA_FILES.columns["LFN"], **TRANSFORMATION_FILES.columns}
FILE = row(FILE_COLUMNS, _FILE)
"""A file of a transformation."""
SOME_OF_A_FILE = row(FILE_COLUMNS, _FILE, partly=True)
"""The same where the caller picks columns."""
TASK = row(TASK_COLUMNS, TRANSFORMATION_TASKS.columns)
"""A task of a transformation."""
LOG_LINE = row(TRANSFORMATION_LOG.columns, TRANSFORMATION_LOG.columns)
"""A line about a transformation."""
COUNTS = mapped(INTEGER)
"""Numbers by name."""


def totalled(total: str, text: str) -> ResultSchema:
    """Return the schema of numbers by value, and their sum.

    :param total: the sum's name.
    """
    return {**mapped(INTEGER, text), "required": [total]}


def by_file(values: ResultSchema, text: str) -> ResultSchema:
    """Return the schema of what methods for many files answer: each under Successful, or under Failed with a reason."""
    return members(text, Successful=mapped(values), Failed=mapped(TEXT))
