"""One setting."""

from dataclasses import dataclass, field
from typing import Any

from ..core.fields import Field
from .types import field_of


@dataclass(frozen=True)
class Setting:
    """One setting.

    :param name: dotted; a plugin's settings begin with the plugin's own section.
    :param type: ``boolean``, ``integer``, ``number``, ``seconds``, ``size`` (bytes), ``text``, ``path``, ``texts`` (a
        list), ``object``, or a field: one of ``jsonrpc_tm.api.fields``, the core's also of ``types.py``.
    :param default: as validated values are; None makes null acceptable.
    :param help: one sentence or two; units where there are any.
    :param secret: the value is never shown.
    :param reload: a new value takes effect when the configuration is read again, not only at the next start.
    :param kind: the field that validates values; made from *type*.
    """

    name: str
    type: Field | str
    default: Any
    help: str
    secret: bool = False
    reload: bool = False
    kind: Field = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kind = field_of(self.type)
        kind.allow_none = kind.allow_none or self.default is None
        object.__setattr__(self, "kind", kind)
