"""Marshmallow fields of meta queries, and of what feeds a catalog: absolute paths, metadata, types of fields."""

import re
from typing import Any

import orjson

from ..core import fields, values
from ..core.model import DATA_FILES, FIELD_TYPES, META_QUERIES, QUERY_TYPES, TRANSFORMATIONS, FieldType, Metadata
from ..core.values import BadValue
from ..matching.query import OPERATORS, SET_OPERATORS, validate

NAME_LENGTH = META_QUERIES.columns["MetaDataName"].length
VALUE_LENGTH = META_QUERIES.columns["MetaDataValue"].length or 0
PATH_LENGTH = DATA_FILES.columns["LFN"].length

_NAME: fields.JSONSchema = {"minLength": 1, "maxLength": NAME_LENGTH}
_PATH: fields.JSONSchema = {"type": "string", "pattern": "^(/|(/[^/]+)+)$", "maxLength": PATH_LENGTH}


def path(value: Any) -> str:
    """Return *value* if it is an absolute path without empty parts.

    :raises BadValue: it is not.
    """
    values.text(value, PATH_LENGTH)
    if value != "/" and (not value.startswith("/") or "" in value.split("/")[1:]):
        raise BadValue("Not an absolute path without empty parts.")
    return value  # type: ignore[no-any-return]


def metadata(value: Any, *, null: bool) -> Metadata:
    """Return *value* if it maps names of metadata fields to scalars.

    :param null: whether null is accepted too.
    :raises BadValue: it does not; the messages are by field name.
    """
    if type(value) is not dict:
        raise BadValue("Not an object.")
    for name, item in value.items():
        try:
            values.text(name, NAME_LENGTH, empty=False)
            if type(item) is str:
                values.text(item, None)
            elif type(item) not in (bool, int, float) and not (null and item is None):
                raise BadValue("Must be a text, a number or a boolean.")
            if type(item) is str and len(orjson.dumps(item).decode()) > VALUE_LENGTH:
                raise BadValue(f"Longer than {VALUE_LENGTH} characters as JSON.")
        except BadValue as error:
            raise BadValue({name[:255]: error.messages}) from None
    return value


def _scalars(null: bool) -> fields.JSONSchema:
    types = ["string", "number", "boolean", *(["null"] if null else [])]
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": {"type": types}}


class Path(fields.Field):
    """An absolute path: ``/``, or names after slashes."""

    schema = _PATH

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return path(value)


class Paths(fields.Field):
    """A list of absolute paths, ``/`` not among them."""

    schema = {"type": "array", "items": _PATH}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        for item in fields.Texts().deserialize(value) or ():
            if path(item) == "/":
                raise BadValue("The root cannot be removed.")
        return list(value)


class MetadataOf(fields.Field):
    """Metadata to set: scalars by field name, null for one to take away."""

    schema = _scalars(null=True)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Metadata:
        return metadata(value, null=True)


class MetadataByFile(fields.Field):
    """Files with their own metadata: an object by LFN."""

    schema = {"type": "object", "propertyNames": _PATH, "additionalProperties": _scalars(null=False)}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Metadata]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        for lfn, own in value.items():
            try:
                if path(lfn) == "/":
                    raise BadValue("The root is not a file.")
                metadata(own, null=False)
            except BadValue as error:
                raise BadValue({lfn[:255]: error.messages}) from None
        return value


class FileDicts(fields.Field):
    """Files that are announced: a name, a list of names, or an object by name. Loads what is said of each, by name."""

    _names = fields.Texts(single=True, keys=True)

    def _own_schema(self) -> fields.JSONSchema:
        return self._names.json_schema()

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Metadata]:
        names: list[str] = self._names.deserialize(value)
        said = value if type(value) is dict else {}
        return {name: own if type(own := said.get(name)) is dict else {} for name in names}


class FieldTypes(fields.Field):
    """Types by name of metadata field."""

    schema = {"type": "object", "propertyNames": _NAME, "additionalProperties": {"enum": list(FIELD_TYPES)}}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, FieldType]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        for name, kind in value.items():
            try:
                values.text(name, NAME_LENGTH, empty=False)
                fields.Choice(*FIELD_TYPES).deserialize(kind)
            except BadValue as error:
                raise BadValue({name[:255]: error.messages}) from None
        return value


class MetaQuery(fields.Field):
    """A meta query.

    :param empty: whether ``{}`` is accepted too (for: no query).
    """

    def __init__(self, *, empty: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.empty = empty

    def _own_schema(self) -> fields.JSONSchema:
        scalar: fields.JSONSchema = {"type": ["string", "number", "boolean"]}
        values: fields.JSONSchema = {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}]}
        operators: fields.JSONSchema = {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {word: values if word in SET_OPERATORS else scalar for word in OPERATORS},
        }
        return {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": META_QUERIES.columns["MetaDataName"].length},
            "additionalProperties": {"anyOf": [*values["anyOf"], operators]},
        } | ({} if self.empty else {"minProperties": 1})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return {} if self.empty and value == {} else validate(value)


class QueryType(fields.Choice):
    """``Input`` (which files the transformation wants) or ``Output`` (what it makes)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(*QUERY_TYPES, **kwargs)


_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)


def transformation_name(value: Any) -> str:
    """Return *value* if a transformation may be called so.

    :raises BadValue: it is empty, too long, or looks like an id.
    """
    name = values.text(value, TRANSFORMATIONS.columns["TransformationName"].length, empty=False)
    if _DIGITS.match(name):
        raise BadValue("Must not be made of digits only.")
    return name


class TransformationName(fields.Field):
    """The name of a new transformation: not empty, not made of digits only."""

    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "[^0-9]"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return transformation_name(value)
