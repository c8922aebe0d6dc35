"""The version of what plugins are promised, and whether a plugin was written for it."""

from typing import Any

from ..core.errors import ConfigurationError

API_VERSION = 1
"""The version of the plugin interface: ``jsonrpc_tm.api`` and the hooks. It grows when something promised changes."""
OLDEST = 1
"""The oldest version whose promises are still kept."""
ATTRIBUTE = "JSONRPC_TM_API"
"""Where a plugin, a module or an object, says for which version it was written."""


def check_version(plugin: Any, origin: str, *, stated: bool) -> None:
    """Refuse a plugin that was written for a version that this server does not have.

    :param origin: what the plugin is called and where it came from.
    :param stated: whether it must say its version. One that need not, and does not, counts as written for this one.
    :raises ConfigurationError: it says another version, or none where it must.
    """
    version = getattr(plugin, ATTRIBUTE, None)
    if version is None:
        if stated:
            raise ConfigurationError(
                f"plugin {origin} does not say for which version of the plugin interface it was written;"
                f" this server has version {API_VERSION}, said by {ATTRIBUTE} = {API_VERSION} in its module"
            )
        return
    if type(version) is not int:
        raise ConfigurationError(f"plugin {origin}: {ATTRIBUTE} must be an integer, not {version!r}")
    if not OLDEST <= version <= API_VERSION:
        kept = f"{OLDEST} to {API_VERSION}" if OLDEST < API_VERSION else str(API_VERSION)
        raise ConfigurationError(
            f"plugin {origin} was written for version {version} of the plugin interface; this server has {kept}"
        )
