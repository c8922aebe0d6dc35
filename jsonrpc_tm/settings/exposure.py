"""Files that others on this machine may read or change, and should not: private keys, configuration, plugins."""

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path as File

from ..core.errors import ConfigurationError
from .document import shown
from .loading import Settings
from .types import Path

logger = logging.getLogger(__name__)

MAY_WRITE = "everybody on this machine may write {}: `chmod o-w` it"
MAY_READ = "everybody on this machine may read {}: `chmod o-r` it"


def judge(sentences: Iterable[str], verdict: str) -> None:
    """Refuse what the sentences tell, or warn of it.

    :param verdict: the setting ``server.exposed_files``.
    :raises ConfigurationError: it is ``refuse``, and there is a sentence.
    """
    found = list(sentences)
    if found and verdict == "refuse":
        raise ConfigurationError("\n".join(found))
    for text in found:
        logger.warning("%s", text)


def writable(path: File) -> Iterator[str]:
    """Yield a sentence for the file or folder, and for the folder it is in, that others may change.

    A folder like ``/tmp``, whose files only their owners may replace, is none of these.
    """
    mode = _mode(path)
    if mode & stat.S_IWOTH:
        yield MAY_WRITE.format(path)
    above = _mode(path.parent)
    if above & stat.S_IWOTH and not above & stat.S_ISVTX:
        yield MAY_WRITE.format(path.parent)


def code(config: File | None, plugins: Iterable[File]) -> Iterator[str]:
    """Yield a sentence for everything that others may change and that says what the program does.

    :param config: the configuration file.
    :param plugins: files and folders of plugins.
    """
    for text in writable(config) if config is not None else ():
        yield f"{text}; they could let the server do anything"
    for given in plugins:
        for path in (given, *(given.rglob("*.py") if given.is_dir() else ())):
            for text in writable(path):
                yield f"plugins.paths: {text}"


def data(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each file of the server's settings that others may change, or a key that they may read."""
    for name, setting in settings.table.items():
        path = settings.path(name) if isinstance(setting.kind, Path) and not name.startswith("client.") else None
        if path is None:
            continue
        for text in writable(path):
            yield f"{name}: {text}"
        if name.endswith(".key") and _mode(path) & stat.S_IROTH:
            yield f"{name}: {MAY_READ.format(path)}"


def secrets(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each secret in a configuration file, or file of secrets, that others may read."""
    options = settings.path("storage.read_default_file")
    if options is not None and _mode(options) & stat.S_IROTH:
        yield f"storage.read_default_file: {MAY_READ.format(options)}"
    if settings.file is None or not _mode(settings.file) & stat.S_IROTH:
        return
    for name, setting in settings.table.items():
        where = settings.origin(name)
        if shown(setting, settings[name]) != settings[name] and where.rpartition(":")[0].endswith(settings.file.name):
            yield f"{where}: {name}: {MAY_READ.format('this secret')}"


def _mode(path: File) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0  # that it is not there is somebody else's finding
