"""Marshmallow fields of tasks. One loop instead of a nested schema: a call may have ten thousand of them."""

from abc import ABC, abstractmethod
from typing import Any

from ..core import fields, values
from ..core.model import TRANSFORMATION_TASKS
from ..core.values import BadValue
from ..domain.transitions.tasks import NewTask, Update
from .parameters import has_nul

_LENGTHS = {name: column.length or 0 for name, column in TRANSFORMATION_TASKS.columns.items()}
_NAME_LENGTH = 255


class TextOrNumber(fields.Text):
    """Text; a number counts as its JSON text."""

    def _own_schema(self) -> fields.JSONSchema:
        return {"anyOf": [super()._own_schema(), {"type": "number"}]}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return super()._deserialize(values.number_as_text(value), *args, **kwargs)


class _Objects(fields.Field, ABC):
    """A list of objects, each with some of the members of ``members`` and no other."""

    members: dict[str, fields.Field]
    needed: tuple[str, ...] = ()
    minimum = 0

    def _own_schema(self) -> fields.JSONSchema:
        item: fields.JSONSchema = {
            "type": "object",
            "properties": {name: field.json_schema() for name, field in self.members.items()},
            "additionalProperties": False,
        }
        if self.needed:
            item["required"] = list(self.needed)
        return {"type": "array", "items": item} | ({"minItems": self.minimum} if self.minimum else {})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[Any]:
        if type(value) is not list:
            raise BadValue("Not a list.")
        if len(value) < self.minimum:
            raise BadValue(f"Needs at least {self.minimum} item(s).")
        loaded = []
        for index, item in enumerate(value):
            try:
                loaded.append(self._loaded(item))
            except BadValue as error:
                raise BadValue({index: error.messages}) from None
        return loaded

    def _loaded(self, item: Any) -> Any:
        if type(item) is not dict:
            raise BadValue("Not an object.")
        read: dict[str, Any] = {}
        for name, value in item.items():
            field = self.members.get(name)
            if field is None:
                raise BadValue({name[:_NAME_LENGTH]: ["Unknown field."]})
            try:
                # the fields' own readers: marshmallow's checks around them take ten times as long
                read[name] = field._deserialize(value, name, item)
            except BadValue as error:
                raise BadValue({name: error.messages}) from None
        for name in self.needed:
            if name not in read:
                raise BadValue({name: ["Missing data for required field."]})
        return self._made(read)

    @abstractmethod
    def _made(self, read: dict[str, Any]) -> Any:
        """Return what the members of an object make."""


class _Attributes(fields.Field):
    """JSON by name; null is no attribute."""

    schema = {"type": "object", "propertyNames": {"minLength": 1, "maxLength": _NAME_LENGTH}}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise BadValue("Not an object.")
        for name, own in value.items():
            try:
                values.text(name, _NAME_LENGTH, empty=False)
                if has_nul(own):
                    raise BadValue("Must not contain U+0000.")
            except BadValue as error:
                raise BadValue({name[:_NAME_LENGTH]: error.messages}) from None
        return {name: own for name, own in value.items() if own is not None}


class NewTasks(_Objects):
    """Tasks to make. Loads a list of ``NewTask``; a file that is named twice counts once."""

    members = {"lfns": fields.Texts(), "se": fields.Text(_LENGTHS["TargetSE"]), "parameters": _Attributes()}
    minimum = 1

    def _made(self, read: dict[str, Any]) -> NewTask:
        if "lfns" in read:
            read["lfns"] = list(dict.fromkeys(read["lfns"]))
        return NewTask(**read)


class Updates(_Objects):
    """What is reported on tasks. Loads a list of ``Update``, no task twice."""

    members = {
        "TaskID": fields.Id(),
        "ExternalStatus": fields.Text(_LENGTHS["ExternalStatus"]),
        "ExternalID": TextOrNumber(_LENGTHS["ExternalID"]),
        "TargetSE": fields.Text(_LENGTHS["TargetSE"]),
        "Lease": fields.Id(),
    }
    needed = ("TaskID",)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Update]:
        updates: list[Update] = super()._deserialize(value, *args, **kwargs)
        seen: set[int] = set()
        for index, update in enumerate(updates):
            if update.task_id in seen:
                raise BadValue({index: {"TaskID": [f"Task {update.task_id} is named twice."]}})
            seen.add(update.task_id)
        return updates

    def _made(self, read: dict[str, Any]) -> Update:
        get = read.get
        return Update(get("TaskID", 0), get("ExternalStatus"), get("ExternalID"), get("TargetSE"), get("Lease"))
