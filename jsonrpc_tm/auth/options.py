"""Options of authenticators: what stands below their name in the setting ``authentication``."""

from collections.abc import Mapping
from typing import Any

from ..core.fields import Field
from ..settings import Settings
from ..settings.types import Record


def checked(settings: Settings, name: str, options: Mapping[str, Any], members: Mapping[str, Field]) -> dict[str, Any]:
    """Return the options of one authenticator with their defaults.

    :param members: the options there are, by name.
    :raises ConfigurationError: they are wrong; the message has path and line.
    """
    place = index_of(settings, name, options)
    loaded: dict[str, Any] = settings.check("authentication", place, name, field=Record(members), value=dict(options))
    return loaded


def index_of(settings: Settings, name: str, options: Mapping[str, Any]) -> int:
    """Return at which place of the setting ``authentication`` the options of one authenticator stand."""
    entries = settings["authentication"]
    return next((index for index, entry in enumerate(entries) if entry.get(name) is options), 0)
