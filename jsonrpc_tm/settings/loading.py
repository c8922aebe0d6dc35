"""From sources and the table to validated settings."""

import copy
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from ..core.errors import ConfigurationError
from ..core.fields import Field
from ..core.problems import Problems
from ..core.spelling import suggestion
from .setting import Setting
from .sources import Keys, Sources
from .table import CORE_SETTINGS

CONFIG_VARIABLE = "JSONRPC_TM_CONFIG"
CONFIG_FILE = "config.yaml"


class Settings(Mapping[str, Any]):
    """Validated settings by dotted name; not to be changed.

    :param values: every setting's value.
    :param folder: what relative paths in settings are relative to: the configuration file's folder, else the
        current one.
    :param table: the settings that there are.
    :param again: reads them again; None where they come from nothing that could change.
    :param file: the configuration file.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        folder: Path,
        table: Mapping[str, Setting],
        sources: Sources | None = None,
        again: Callable[[], "Settings"] | None = None,
        file: Path | None = None,
    ) -> None:
        self._values = dict(values)
        self.folder = folder
        self.table = table
        self._sources = sources
        self._again = again
        self.file = file
        self.waiting: tuple[str, ...] = ()
        """Settings whose new values take effect at the next start only; see ``renewed``."""

    @classmethod
    def defaults(cls, **overrides: Any) -> "Settings":
        """Return the defaults with *overrides* (``server__port=0``): no file, no environment."""
        return load(None, {}, {name.replace("__", "."): value for name, value in overrides.items()})

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"no setting {name!r}{suggestion(name, self._values)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __repr__(self) -> str:
        return f"<Settings of {self.folder}>"  # values may be secret

    def renewed(self) -> "Settings":
        """Return the settings as they would be after a reload: read again, except for those that need a restart.

        :raises ConfigurationError: anything is wrong with what was read, those that need a restart included.
        """
        if self._again is None:
            return self
        newer = self._again()
        values = {name: newer[name] if setting.reload else self[name] for name, setting in self.table.items()}
        found = Settings(values, self.folder, self.table, newer._sources, newer._again, self.file)
        found.waiting = tuple(name for name in self.table if newer[name] != found[name])
        return found

    def become(self, newer: "Settings") -> None:
        """Take the values of *newer*, which ``renewed`` returned: whoever has these settings sees them."""
        self._values, self._sources, self.waiting = newer._values, newer._sources, newer.waiting

    def section(self, name: str) -> dict[str, Any]:
        """Return the settings below *name* by what follows it: ``section("server")["tls.mode"]``."""
        return {key[len(name) + 1 :]: value for key, value in self.items() if key.startswith(f"{name}.")}

    def path(self, name: str) -> Path | None:
        """Return the value of a path setting, relative to ``folder``; None where it is null."""
        value = self[name]
        return None if value is None else self.folder / value

    def origin(self, name: str, *keys: str | int) -> str:
        """Return where a setting's value (or a part of it) came from; empty for a default."""
        return self._sources.where(name, keys) if self._sources else ""

    def wrong(self, name: str, *keys: str | int, message: str) -> ConfigurationError:
        """Return the error to raise when the value of a setting, or the part under *keys*, turns out to be wrong.

        The message has the path, and where the value came from: file and line, variable or option.
        """
        return wrong(name, *keys, message=message, where=self.origin(name, *keys))

    def located(self, text: str) -> str:
        """Return a sentence that begins with the name of a setting with the place of the setting before it."""
        word = re.match(r"[\w.]*\w", text)
        name = word[0] if word else ""
        while name and name not in self.table:
            name = name.rpartition(".")[0]
        if not name or not word or not (where := self.origin(name, *word[0][len(name) + 1 :].split("."))):
            return text
        return f"{where}: {text}"

    def check(self, name: str, *keys: str | int, field: Field, value: Any) -> Any:
        """Validate a part of a setting that only a plugin understands, such as an authenticator's options.

        :param keys: where below the setting *value* is.
        :raises ConfigurationError: *field* refuses it.
        """
        try:
            return field.deserialize(value)
        except ValidationError as error:
            lines = [str(self.wrong(name, *keys, *below, message=text)) for below, text in flat(error.messages)]
            raise ConfigurationError("\n".join(lines)) from None


def wrong(name: str, *keys: str | int, message: str, where: str = "") -> ConfigurationError:
    """Return the error for a setting, or a part of it, that is wrong; see ``Settings.wrong``.

    :param where: where the value came from.
    """
    text = f"{_dotted(name, keys)}: {message}"
    return ConfigurationError(f"{where}: {text}" if where else text)


@dataclass(frozen=True, slots=True)
class PluginOptions:
    """What must be known before plugins can bring settings of their own.

    :param paths: files and folders of plugins.
    :param disable: names of plugins left out.
    :param exposed: what happens with those that everybody may write, ``refuse`` or ``warn``.
    """

    paths: tuple[Path, ...]
    disable: tuple[str, ...]
    exposed: str


def find_config(given: str | Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the configuration file: the given one, else ``JSONRPC_TM_CONFIG``, else ./config.yaml if it is there."""
    chosen = given or environ.get(CONFIG_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(CONFIG_FILE) if Path(CONFIG_FILE).is_file() else None


def load(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    extra: Iterable[Setting] = (),
) -> Settings:
    """Return the settings of a file, overridden by the environment, overridden by *overrides*.

    :param config: YAML file; None for none.
    :param environ: environment variables; those that begin with ``JSONRPC_TM__`` count.
    :param overrides: values by dotted name; texts are read as YAML.
    :param extra: settings of plugins.
    :raises ConfigurationError: anything is wrong; the message has a line for each, with path and place.
    """
    problems = Problems()
    found = read(config, environ, overrides, extra, problems)
    problems.tell()
    return found


def read(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    extra: Iterable[Setting],
    problems: Problems,
    *,
    strict: bool = True,
) -> Settings:
    """Return the settings as ``load`` does, with defaults in place of values that are wrong.

    :param problems: what is wrong is noted there.
    :param strict: whether names that are no settings' are wrong.
    :raises ConfigurationError: the file cannot be read, or two settings have one name.
    """
    extra = tuple(extra)
    table = _table(extra)
    sources = _sources(config, environ, overrides, table.values(), strict=strict)
    values = _validate(sources, table)
    problems.note("\n".join(sources.problems))
    again = functools.partial(load, config, environ, overrides, extra)
    return Settings(values, _folder(config), table, sources, again, config and config.absolute())


def plugin_options(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> PluginOptions:
    """Return the settings of the section ``plugins``, and how careful to be; nothing else is looked at.

    :raises ConfigurationError: they are wrong, or the file cannot be read.
    """
    early = ("plugins.paths", "plugins.disable", "server.exposed_files")
    table = {setting.name: setting for setting in CORE_SETTINGS if setting.name in early}
    sources = _sources(config, environ, overrides, table.values(), strict=False)
    values = _validate(sources, table)
    if sources.problems:
        raise ConfigurationError("\n".join(sources.problems))
    folder = _folder(config)
    paths = tuple(folder / path for path in values["plugins.paths"])
    return PluginOptions(paths, tuple(values["plugins.disable"]), values["server.exposed_files"])


def _folder(config: Path | None) -> Path:
    return config.resolve().parent if config is not None else Path.cwd()


def _sources(
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    table: Iterable[Setting],
    *,
    strict: bool,
) -> Sources:
    sources = Sources({setting.name: setting.kind for setting in table}, strict=strict)
    if config is not None:
        sources.read_file(config)
    sources.read_environment(environ)
    sources.read_overrides(overrides)
    return sources


def _table(extra: Iterable[Setting]) -> dict[str, Setting]:
    """Return all settings by name.

    :raises ConfigurationError: two have one name, or one is inside another.
    """
    table: dict[str, Setting] = {}
    for setting in (*CORE_SETTINGS, *extra):
        if setting.name in table:
            raise ConfigurationError(f"the setting {setting.name} is there twice")
        table[setting.name] = setting
    for name in table:
        parts = name.split(".")
        for end in range(1, len(parts)):
            if (outer := ".".join(parts[:end])) in table:
                raise ConfigurationError(f"the setting {name} is inside the setting {outer}")
    return table


def _validate(sources: Sources, table: Mapping[str, Setting]) -> dict[str, Any]:
    values = {}
    for name, setting in table.items():
        values[name] = copy.deepcopy(setting.default)
        if name not in sources.values:
            continue
        try:
            values[name] = setting.kind.deserialize(sources.values[name])
        except ValidationError as error:
            for keys, message in flat(error.messages):
                sources.problem(sources.where(name, keys), _dotted(name, keys), message)
    return values


def flat(messages: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield marshmallow's messages one by one, each with the keys that lead to what is wrong."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            yield from flat(below, (*keys, key))
    else:
        yield keys, " ".join(messages)


def _dotted(name: str, keys: Keys) -> str:
    return name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
