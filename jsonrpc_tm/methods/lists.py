"""The parameters that list methods share (section 5 of the specification)."""

from ..core import fields

CONDITIONS = (
    "column: value (equal; null is IS NULL), list of values (any of them) or operators, all of which must hold, "
    'such as {"!=": "Processed"} or {">": 5}'
)
"""What a condDict is, in words."""


def list_fields(time_stamp: str) -> dict[str, fields.Field]:
    """Return the parameters that every list method begins with.

    :param time_stamp: default of the parameter ``timeStamp``.
    """
    return {
        "condDict": fields.Object(
            allow_none=True,
            load_default=None,
            metadata={"description": CONDITIONS},
        ),
        "older": fields.DateTime(metadata={"description": "only rows whose timeStamp is before this moment (UTC)"}),
        "newer": fields.DateTime(metadata={"description": "only rows whose timeStamp is not before this moment (UTC)"}),
        "timeStamp": fields.Text(
            None,
            allow_none=True,
            load_default=time_stamp,
            metadata={"description": "the date column that older and newer bound"},
        ),
        "orderAttribute": fields.OrderBy(metadata={"description": "Col, Col:ASC, Col:DESC or a list of those"}),
        "limit": fields.Count(
            allow_none=True, load_default=None, metadata={"description": "the most rows wanted; 0 and null for all"}
        ),
    }


def offset_field() -> fields.Field:
    """Return the parameter ``offset``."""
    text = "how many rows to skip; costs what it skips, after does not"
    return fields.Count(allow_none=True, load_default=None, metadata={"description": text})


def after_field(*, pair: bool) -> fields.Field:
    """Return the parameter ``after``.

    :param pair: the key is a transformation and a number in it.
    """
    text = "the last id seen: only rows behind it, at constant cost; not with orderAttribute or offset"
    if pair:
        text += "; [TransformationID, id] unless condDict fixes one TransformationID"
    return fields.After(pair=pair, metadata={"description": text})


def columns_field() -> fields.Field:
    """Return the parameter ``columns``."""
    text = "the columns wanted; null for all"
    # a name that no column can have is an unknown one, not a wrong one
    return fields.Texts(65535, empty=True, allow_none=True, load_default=None, metadata={"description": text})
