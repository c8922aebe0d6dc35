"""Where settings come from: a YAML file, then the environment, then the command line. Nothing is validated here."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import ConfigurationError
from ..core.fields import Choice, Field, Text
from ..core.spelling import suggestion
from .types import Named

PREFIX = "JSONRPC_TM__"
_NULLS = ("null", "Null", "NULL")
Keys = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML with the words of version 1.2: ``off`` and ``no`` are texts, not booleans; dates are texts too."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", "~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


class Sources:
    """Raw values by the name of the setting, with where each came from.

    :param kinds: the settings' fields by name.
    :param strict: whether keys that are not settings are problems.
    """

    def __init__(self, kinds: Mapping[str, Field], *, strict: bool = True) -> None:
        self.kinds = kinds
        self.strict = strict
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self._where: dict[Keys, str] = {}
        # `server.tls` for `server.tls.mode`: the sections
        self._sections = {name[:dot] for name in kinds for dot in range(len(name)) if name[dot] == "."}

    def where(self, name: str, keys: Keys = ()) -> str:
        """Return where the value of a setting, or the part of it under *keys*, came from; empty for a default."""
        for end in range(len(keys), -1, -1):
            if (found := self._where.get((name, *keys[:end]))) is not None:
                return found
        return ""

    def problem(self, where: str, path: str, message: str) -> None:
        """Note that something is wrong."""
        self.problems.append(f"{where}: {path}: {message}" if path else f"{where}: {message}")

    # -- the file

    def read_file(self, path: Path) -> None:
        """Take the values of a YAML file.

        :raises ConfigurationError: it cannot be read or is no YAML.
        """
        try:
            text = path.read_text("utf-8")
            root = yaml.compose(text, _Loader)
            if root is not None:
                self._section(str(path), "", root)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path}: not UTF-8") from None
        except yaml.MarkedYAMLError as error:
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigurationError(f"{path}{line}: not YAML: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{path}: not YAML: {getattr(error, 'reason', 'unreadable')}") from None
        except RecursionError:
            raise ConfigurationError(f"{path}: not YAML: nested too deeply, or inside itself") from None

    def _section(self, file: str, section: str, node: yaml.Node) -> None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return  # `server:` with everything below it commented out
        where = _line(file, node)
        if not isinstance(node, yaml.MappingNode):
            self.problem(where, section, "Not an object.")
            return
        for key_node, value_node in _pairs(node):
            name = f"{section}.{key_node.value}" if section else str(key_node.value)
            where = _line(file, key_node)
            if name in self.kinds:
                self._where[(name,)] = where
                self.values[name] = self._construct(file, (name,), value_node)
            elif name in self._sections:
                self._section(file, name, value_node)
            elif self.strict:
                self.problem(where, name, f"Unknown key{suggestion(name, [*self.kinds, *self._sections])}.")

    def _construct(self, file: str, keys: Keys, node: yaml.Node) -> Any:
        """Return the Python value of a node, noting the line of every part."""
        self._where.setdefault(keys, _line(file, node))
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(file, (*keys, index), item) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            result = {}
            for key_node, value_node in _pairs(node):
                name = str(key_node.value)
                self._where[(*keys, name)] = _line(file, key_node)
                result[name] = self._construct(file, (*keys, name), value_node)
            return result
        return _Loader("").construct_object(node)

    # -- environment and command line

    def read_environment(self, environ: Mapping[str, str]) -> None:
        """Take the values of ``JSONRPC_TM__SERVER__PORT`` and the like; case counts only below a setting."""
        by_upper = {name.upper(): name for name in self.kinds}
        for variable in sorted(environ):
            parts = variable.removeprefix(PREFIX).split("__") if variable.startswith(PREFIX) else []
            for end in range(len(parts), 0, -1):
                name = by_upper.get(".".join(parts[:end]).upper())
                if name is not None:
                    self._put(name, parts[end:], environ[variable], f"environment: {variable}")
                    break
            else:
                # what Kubernetes sets for a service called `jsonrpc-tm-server` is no slip
                meant = "" if environ[variable].startswith(("tcp://", "udp://")) else self._meant(variable)
                if meant and self.strict:
                    self.problem("environment", variable, f"Not the name of a setting; it is {meant}.")
                elif parts:
                    self._unknown("environment", variable, ".".join(parts).lower())

    def _meant(self, variable: str) -> str:
        """Return the right name where only case or the number of underscores is wrong; empty for anything else."""
        word, start = re.sub("_+", "_", variable).upper(), re.sub("_+", "_", PREFIX)
        for name, kind in self.kinds.items() if word.startswith(start) else ():
            right = f"{PREFIX}{name.upper().replace('.', '__')}"
            flat = re.sub("_+", "_", right)
            if word == flat:
                return right
            if isinstance(kind, Named) and word.startswith(f"{flat}_"):
                return f"{right}__…"
        return ""

    def read_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Take values by dotted name; texts are read as YAML, other values as they are."""
        for given, value in overrides.items():
            parts = given.split(".")
            for end in range(len(parts), 0, -1):
                name = ".".join(parts[:end])
                if name in self.kinds:
                    self._put(name, parts[end:], value, "--set")
                    break
            else:
                self._unknown("--set", given, given)

    def _unknown(self, where: str, given: str, name: str) -> None:
        if not self.strict:
            return
        if name in self._sections:
            below = ", ".join(kind for kind in self.kinds if kind.startswith(f"{name}."))
            self.problem(where, given, f"A section, not a setting; it has {below}.")
        else:
            self.problem(where, given, f"Unknown setting{suggestion(name, self.kinds)}.")

    def _put(self, name: str, keys: Sequence[str], value: Any, where: str) -> None:
        kind = self.kinds[name]
        if isinstance(value, str):
            try:
                value = _read(value, kind, below=bool(keys))
            except (yaml.YAMLError, RecursionError):
                self.problem(where, _below(name, keys), "Not a YAML value.")
                return
        if keys:
            if not isinstance(kind, Named):
                self.problem(where, _below(name, keys), f"{name} has nothing below it.")
                return
            path, value = kind.put(self.values.get(name), keys, value)
            self._where[(name, *path)] = where
        else:
            # parts of what is replaced came from elsewhere
            self._where = {at: origin for at, origin in self._where.items() if at[0] != name}
        self._where.setdefault((name,), where)
        self.values[name] = value


def _below(name: str, keys: Sequence[str]) -> str:
    return ".".join((name, *keys))


def _read(text: str, kind: Field, *, below: bool) -> Any:
    """Return what *text* from the environment or the command line means for a setting."""
    if isinstance(kind, Text | Choice) and not below:
        return None if text in _NULLS or (text == "" and kind.allow_none) else text
    return yaml.load(text, _Loader)


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return the pairs of a mapping, merge keys (``<<``) resolved.

    :raises yaml.MarkedYAMLError: a key is there twice, which YAML forbids and PyYAML does not see, or is no scalar.
    """
    seen: dict[str, yaml.Node] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
        if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
            first = seen[key.value].start_mark.line + 1
            raise yaml.MarkedYAMLError(
                problem=f"the key {key.value!r} is there already, in line {first}", problem_mark=key.start_mark
            )
        seen[key.value] = key
    _Loader("").flatten_mapping(node)
    # merged pairs come first: the mapping's own ones win
    return list({key.value: (key, value) for key, value in node.value}.values())


def _line(file: str, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"
