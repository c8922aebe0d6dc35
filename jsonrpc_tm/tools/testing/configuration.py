"""Settings for tests: the defaults and what a test wants otherwise, whatever is installed or in the environment."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...app import Plugins, load_plugins
from ...settings import Settings, load


def configure(overrides: Mapping[str, Any] = {}, plugins: Sequence[Any] = ()) -> tuple[Settings, Plugins]:
    """Return default settings and the plugins that ship with the server.

    :param overrides: settings by dotted name; those of *plugins* too.
    :param plugins: further plugin modules or objects.
    :raises ConfigurationError: a setting is wrong.
    """
    loaded = load_plugins(extra=plugins, entry_points=False)
    extra = [setting for setting, _ in loaded.collect("register_settings")]
    return load(None, {}, overrides, extra), loaded
