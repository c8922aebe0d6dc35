"""Settings: one table, read from YAML, environment and command line, validated by marshmallow."""

from .loading import PluginOptions, Settings, find_config, load, plugin_options, read
from .setting import Setting
from .table import CORE_SETTINGS

__all__ = ["CORE_SETTINGS", "PluginOptions", "Setting", "Settings", "find_config", "load", "plugin_options", "read"]
