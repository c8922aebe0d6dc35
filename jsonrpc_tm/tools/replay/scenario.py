"""Scenario files: finding, loading and checking them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...catalog.memory import DictCatalog
from ...core.errors import ConfigurationError
from ...core.identity import ANONYMOUS, Identity
from ...core.records import ReplayStep

MATCHES = ("keys", "subset", "present")
CATALOG, IDENTITIES = "catalog.json", "identities.json"


@dataclass(frozen=True, slots=True)
class World:
    """What a scenario takes for granted.

    :param catalog: the content of catalog.json; None keeps the server's own catalog.
    :param identities: the content of identities.json: facts of a caller by key, None for the anonymous one.
    :param folder: paths in the identities are relative to it.
    """

    catalog: Mapping[str, Any] | None
    identities: Mapping[str, Mapping[str, Any] | None]
    folder: Path

    def identity(self, key: str) -> Identity:
        """Return the caller *key* as an authenticator would have established it."""
        facts = self.identities[key]
        if facts is None:
            return ANONYMOUS
        return Identity(
            username=facts["username"],
            group=facts["group"],
            properties=tuple(facts["properties"]),
            dn=facts.get("DN"),
            authentication="x509",
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """The steps of one file, in order."""

    name: str
    path: Path
    steps: tuple[ReplayStep, ...]
    world: World


def load(
    paths: Iterable[Path | str], catalog: Path | str | None = None, identities: Path | str | None = None
) -> list[Scenario]:
    """Return the scenarios of files and of folders, which are searched for ``*.jsonl`` at any depth.

    :param catalog: used where neither the file's folder nor its parent has a catalog.json.
    :param identities: the same for identities.json.
    :raises ConfigurationError: a file is missing or wrong, or there is no scenario at all.
    """
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files.update(dict.fromkeys(sorted(path.rglob("*.jsonl"))))
        elif path.is_file():
            files[path] = None
        else:
            raise ConfigurationError(f"{path}: no such file or folder")
    if not files:
        raise ConfigurationError(f"no scenario (*.jsonl) in {', '.join(map(str, paths))}")
    worlds: dict[tuple[Path, Path], World] = {}
    scenarios = []
    for file in files:
        key = _companion(file, CATALOG, catalog), _companion(file, IDENTITIES, identities)
        if key not in worlds:
            worlds[key] = World(_catalog(key[0]), read_identities(key[1]), key[1].parent)
        scenarios.append(Scenario(file.stem, file, tuple(_steps(file, worlds[key])), worlds[key]))
    return scenarios


def _companion(file: Path, name: str, otherwise: Path | str | None) -> Path:
    for folder in (file.parent, file.absolute().parent.parent):
        if (folder / name).is_file():
            return folder / name
    if otherwise is None:
        raise ConfigurationError(f"{file}: no {name} in its folder or the one above; name one with --{name[:-5]}")
    return Path(otherwise)


def _object(path: Path, *, null: bool = False) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not (isinstance(value, dict) or (null and value is None)):
        raise ConfigurationError(f"{path}: not an object")
    return value


def _catalog(path: Path) -> Any:
    content = _object(path, null=True)
    try:
        if content is not None:
            DictCatalog(content)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return content


def read_identities(path: Path) -> dict[str, dict[str, Any] | None]:
    """Return the content of an identities.json.

    :raises ConfigurationError: it is missing or wrong.
    """
    identities: dict[str, dict[str, Any] | None] = _object(path)
    for key, facts in identities.items():
        if facts is not None and not (isinstance(facts, dict) and {"username", "group", "properties"} <= facts.keys()):
            raise ConfigurationError(f"{path}: {key} needs username, group and properties, or is null")
        properties = [] if facts is None else facts["properties"]
        if not (isinstance(properties, list) and _are_texts(properties)):
            raise ConfigurationError(f"{path}: the properties of {key} are no list of texts")
        if facts is not None and not _are_texts([facts["username"], facts["group"], facts.get("DN", "")]):
            raise ConfigurationError(f"{path}: username, group and DN of {key} are texts")
    return identities


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _steps(file: Path, world: World) -> Iterable[ReplayStep]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    for row, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _step(json.loads(line), row, world)
        except KeyError as error:
            raise ConfigurationError(f"{file}:{row}: {error} is missing") from None
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise ConfigurationError(f"{file}:{row}: {error}") from None


def _step(data: Any, row: int, world: World) -> ReplayStep:
    if not isinstance(data, dict):
        raise TypeError("not an object")
    if ("result" in data) == ("error" in data):
        raise ValueError("needs either result or error")
    if "error" in data and not isinstance(data["error"]["type"], str):
        raise ValueError("error.type is not a text")
    if data["as"] not in world.identities:
        raise ValueError(f"unknown caller {data['as']!r}")
    if data.get("match") not in (None, *MATCHES):
        raise ValueError(f"match is one of: {', '.join(MATCHES)}")
    if not isinstance(data.get("params"), list | dict | None):
        raise ValueError("params is a list or an object")
    if not isinstance(data["now"], str):
        raise ValueError("now is not a text")
    # what this refuses, the clock would
    if (now := datetime.fromisoformat(data["now"])).tzinfo is not None:
        now.astimezone(UTC)
    return ReplayStep(
        data.get("step", row),
        data["now"],
        data["as"],
        data["method"],
        data.get("params"),
        {key: data[key] for key in ("result", "error") if key in data},
        data.get("match"),
        data.get("unordered", False),
    )
