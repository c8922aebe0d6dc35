"""The table of settings as documentation."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from .setting import Setting
from .sources import PREFIX
from .types import Bytes, words

RELOAD = "↻"
_INTRODUCTION = f"""\
# Settings

<!-- made by `jsonrpc-tm settings --markdown`; do not edit -->

Settings come from a YAML file, then the environment, then the command line; later ones win.

- The file is the one named by `-c/--config`, else by the variable `JSONRPC_TM_CONFIG`, else `config.yaml` in the
  current folder. Without a file the defaults hold. Relative paths in it are relative to its folder.
- `server.port` is `{PREFIX}SERVER__PORT` in the environment and `--set server.port=0` on the command line. Values are
  read as YAML there (`[a, b]` is a list); a text is taken as it is, but for `null` (a file of that name is `./null`).
  A variable that differs from a setting's only by case or underscores is an error.
- Entries below a setting can be set alone: `--set authorization.methods.ping=authenticated`. Names keep their case:
  `{PREFIX}REGISTRY__USERS__alice__groups=[prod]`.
- Words are those of YAML 1.2: `off` and `no` are texts, only `true` and `false` are booleans.
- Whatever is wrong is named with file, line and path, all at once; unknown keys are errors.
- `jsonrpc-tm settings` shows all values and where they came from.
- Those marked {RELOAD} take effect when the configuration is read again: at SIGHUP, or soon after the file has changed.
  The others do at the next start; the log says so when one has changed.

Plugins bring sections of their own, checked in the same way. They come last here; those of the plugins that come with
the project do nothing until they are `enabled`.
"""


def markdown(settings: Iterable[Setting]) -> str:
    """Return the documentation of *settings*, by section."""
    parts = [_INTRODUCTION]
    for section, members in groupby(settings, key=lambda setting: setting.name.partition(".")[0]):
        rows = [" ".join(("|", *(f"{_cell(text)} |" for text in _cells(setting)))) for setting in members]
        parts.append(
            "\n".join((f"## {section}\n", "| setting | type | default | meaning |", "|---|---|---|---|", *rows))
        )
    return "\n".join(f"{part}\n" if not part.endswith("\n") else part for part in parts)


def _default(setting: Setting) -> str:
    value = setting.default
    if isinstance(setting.kind, Bytes) and value % 2**20 == 0:
        value = f"{value // 2**20} MiB"
    return "null" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _cells(setting: Setting) -> tuple[str, ...]:
    meaning = f"{setting.help} {RELOAD}" if setting.reload else setting.help
    return f"`{setting.name}`", words(setting.kind), _default(setting), meaning


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def shown(setting: Setting, value: Any) -> Any:
    """Return the value for people's eyes: of a secret only whether it is there, or a URL without its password."""
    if not setting.secret or value is None:
        return value
    scheme, separator, rest = str(value).partition("://")
    if not separator:
        return "***"
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}:***@{host}" if at else value
