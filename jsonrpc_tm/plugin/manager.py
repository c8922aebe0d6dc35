"""Finding and loading plugins. One fresh manager per server, never a module global."""

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin

import pluggy

from ..core.errors import ConfigurationError
from ..core.problems import Problems
from ..core.spelling import suggestion
from .marker import PROJECT
from .version import check_version

ENTRY_POINTS = "jsonrpc_tm"
_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a plugin came from.

    :param name: unique name; what ``plugins.disable`` lists.
    :param kind: ``default``, ``shipped``, ``distribution`` or ``path``.
    :param origin: module, distribution with version, or file.
    """

    name: str
    kind: str
    origin: str

    def __str__(self) -> str:
        return f"{self.name} ({self.origin})"


class _Manager(pluggy.PluginManager):
    """pluggy looks at every name of a plugin as if it might be a property: for 20 us each, imports too."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """Return how *name* is marked; see pluggy."""
        if isinstance(plugin, ModuleType) and not hasattr(vars(plugin).get(name), f"{PROJECT}_impl"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class Plugins:
    """The plugins of one server.

    :param hooks: the class whose methods are the hooks.
    :param defaults: modules that are plugins of every server.
    :param paths: files and folders of plugins (``plugins.paths``); a folder gives every ``.py`` file and package in it.
    :param disable: names left out (``plugins.disable``).
    :param extra: further plugin modules or objects, for tests and embedding.
    :param entry_points: whether installed distributions are asked.
    :param shipped: whether the plugins that come with the project are loaded (inert until enabled).
    :raises ConfigurationError: plugins cannot be loaded, a name is there twice, or a disabled one does not exist.
    """

    def __init__(
        self,
        hooks: type,
        defaults: Iterable[str] = (),
        paths: Iterable[Path] = (),
        disable: Iterable[str] = (),
        extra: Sequence[Any] = (),
        *,
        entry_points: bool = True,
        shipped: bool = True,
    ) -> None:
        self.manager = _Manager(PROJECT)
        self.manager.add_hookspecs(hooks)
        self.provenance: dict[str, Provenance] = {}
        self._disable = set(disable)
        known: set[str] = set()
        problems = Problems()
        present = [path for path in paths if problems.attempt(functools.partial(_there, path), False)]
        for provenance, load in self._sources(defaults, present, extra, entry_points, shipped):
            known.add(provenance.name)
            if provenance.name not in self._disable:
                problems.attempt(functools.partial(self._add, provenance, load), None)
        if unknown := self._disable - known:
            problems.note(f"plugins.disable names {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
        problems.tell()

    def _sources(
        self,
        defaults: Iterable[str],
        paths: Iterable[Path],
        extra: Sequence[Any],
        entry_points: bool,
        shipped: bool,
    ) -> Iterator[tuple[Provenance, Callable[..., Any]]]:
        for name in defaults:
            yield Provenance(name, "default", name), lambda name=name: importlib.import_module(name)
        for path in _files(_shipped()) if shipped else ():
            yield Provenance(path.stem, "shipped", f"plugins/{path.name}"), lambda path=path: _load_file(path)
        if entry_points:
            for entry in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
                dist = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
                yield Provenance(entry.name, "distribution", dist), entry.load
        for given in paths:
            for path in _files(given):
                if _shipped() not in path.parents:  # shipped plugins are always there
                    yield Provenance(path.stem, "path", str(path)), lambda path=path: _load_file(path)
        for plugin in extra:
            name = getattr(plugin, "__name__", None) or type(plugin).__name__
            yield Provenance(name, "given", name), lambda plugin=plugin: plugin

    def _add(self, provenance: Provenance, load: Callable[..., Any]) -> None:
        if (other := self.provenance.get(provenance.name)) is not None:
            raise ConfigurationError(f"two plugins are called {provenance.name}: {other} and {provenance}")
        try:
            plugin = load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ConfigurationError(f"plugin {provenance} cannot be loaded: {described(error)}") from error
        # who writes a file writes it for the server beside it; a distribution is installed without its author
        check_version(plugin, str(provenance), stated=provenance.kind == "distribution")
        self.provenance[provenance.name] = provenance
        try:
            self.manager.register(plugin, provenance.name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise ConfigurationError(f"plugin {provenance}: {' '.join(str(error).split())}") from None
        callers = self.manager.get_hookcallers(plugin)
        if not callers:
            raise ConfigurationError(f"plugin {provenance} implements no hook; mark its functions with @hookimpl")
        for caller in callers:
            if not caller.has_spec() and not all(impl.optionalhook for impl in caller.get_hookimpls()):
                hooks = [name for name, one in vars(self.manager.hook).items() if one.has_spec()]
                hint = suggestion(caller.name, hooks)
                raise ConfigurationError(f"plugin {provenance}: there is no hook {caller.name}{hint}")

    def collect(self, hook: str, **arguments: Any) -> list[tuple[Any, Provenance]]:
        """Return everything that the plugins yield for *hook*, each with its plugin, in the order of registration.

        :raises ConfigurationError: implementations fail, or hand over something else than the hook is for; the message
            names the plugins.
        """
        found: list[tuple[Any, Provenance]] = []
        problems = Problems()
        caller = getattr(self.manager.hook, hook)
        (wanted,) = get_args(caller.spec.function.__annotations__["return"])
        for impl in caller.get_hookimpls():
            provenance = self.provenance[impl.plugin_name]
            given = {name: arguments[name] for name in impl.argnames}
            try:
                # the server's own methods are the same in all services of a process: 20 of the 24 ms that one takes
                same = hook == "register_methods" and provenance.kind == "default" and not given
                items = _items_once(impl.function) if same else _items(impl.function, given)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                ours = isinstance(error, ConfigurationError) and provenance.kind == "default"
                for line in described(error).splitlines():
                    problems.note(line if ours else f"plugin {provenance}, {hook}: {line}")
                continue
            for item in items:
                if lacking := _lacking(item, wanted):
                    problems.note(f"plugin {provenance}, {hook}: {item!r:.100} {lacking}")
            found += [(item, provenance) for item in items]
        problems.tell()
        return found

    def hooks_of(self, name: str) -> list[str]:
        """Return the hooks that the plugin called *name* implements."""
        callers = self.manager.get_hookcallers(self.manager.get_plugin(name)) or []
        return sorted(caller.name for caller in callers)


def _there(path: Path) -> bool:
    if not path.exists():
        raise ConfigurationError(f"plugins.paths: {path} does not exist")
    return True


def described(error: BaseException) -> str:
    """Return in words what a plugin raised."""
    if isinstance(error, ConfigurationError):
        return str(error)
    end = "it ends the program, " if isinstance(error, SystemExit) else ""
    return f"{end}{type(error).__name__}: {error}"


@functools.cache
def _items_once(function: Callable[[], Any]) -> list[Any]:
    return _items(function, {})


def _items(function: Callable[..., Any], given: dict[str, Any]) -> list[Any]:
    """Return what a hook hands over.

    :raises ConfigurationError: it is async, or hands over one object instead of yielding it.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError("hooks are plain functions, not async ones")
    found = function(**given)
    if found is not None and not isinstance(found, Iterable):
        raise ConfigurationError(f"it returns {found!r:.100}: yield it instead, or return a list")
    return list(found or ())


def _lacking(item: Any, wanted: Any) -> str | None:
    """Return in words why *item* is not what an annotation says; of protocols the members' names are looked at."""
    if get_origin(wanted) is Callable:
        return None if callable(item) else "is no function"
    if wanted is Any or not isinstance(wanted, type):
        return None
    if not getattr(wanted, "_is_protocol", False):
        return None if isinstance(item, wanted) else f"is no {wanted.__name__}"
    if isinstance(item, type) and "__call__" not in vars(wanted):
        return f"is a class: hand over an object of it, {item.__name__}(…)"
    members = {name for name in (*vars(wanted), *wanted.__annotations__) if name == "__call__" or name[0] != "_"}
    missing = sorted(name for name in members if not hasattr(item, name))
    return f"is no {wanted.__name__}: it has no {', '.join(missing)}" if missing else None


def _shipped() -> Path:
    """Return the folder of the plugins that come with the project: in the wheel, else beside the package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent / "plugins"


def _files(path: Path) -> list[Path]:
    """Return the plugins in a folder: ``.py`` files and packages, by name; a file or package gives itself."""
    path = path.resolve()
    if path.is_file() or (path / "__init__.py").is_file():
        return [path]
    if not path.is_dir():
        return []
    return sorted(
        item
        for item in path.iterdir()
        if (item.suffix == ".py" or (item / "__init__.py").is_file()) and not item.name.startswith(("_", "."))
    )


def _load_file(path: Path) -> ModuleType:
    """Import a file or package under a name of its own, so that two servers in one process do not share it."""
    name = f"jsonrpc_tm_plugin_{next(_serial)}_{path.stem}"
    package = path / "__init__.py"
    if package.is_file():
        spec = importlib.util.spec_from_file_location(name, package, submodule_search_locations=[str(path)])
    else:
        spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
