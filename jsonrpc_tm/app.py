"""Puts a server together from settings and plugins: the only place that knows them all. Everything is explicit.

First the plugins, then the settings, whose table plugins extend, then ``Parts``, then what factories of plugins make
of those, and in the end one whole ``Service``.
"""

import contextlib
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .auth.users import ConfiguredUsers
from .catalog.base import Catalog, CatalogProvider
from .catalog.memory import DictCatalog
from .core.clock import Clock, utc_now
from .core.errors import ConfigurationError
from .core.identity import Authenticator, Rule, Users
from .core.lifetimes import told
from .core.problems import Problems
from .core.records import Route
from .core.spelling import suggestion
from .hookspecs import Hooks
from .observe import logs
from .parts import AuthenticatorFactory, Parts
from .plugin import manager
from .plugin.manager import Provenance, described
from .plugin.replacing import machines as machines_of
from .plugin.replacing import one
from .plugin.replacing import status_rules as kinds_of
from .rpc import method_rules as rules
from .rpc.method import Method, Registry
from .rpc.service import Lifetime, Reread, Service
from .settings import Setting, Settings, exposure, plugin_options, read
from .storage.base import Storage, StorageProvider
from .storage.sqlite import SqliteStorage
from .storage.urls import scheme

Plugins = manager.Plugins  # tools know them from here
logger = logging.getLogger(__name__)

DEFAULT_PLUGINS = (
    "jsonrpc_tm.observe.logs",
    "jsonrpc_tm.auth.policy",
    "jsonrpc_tm.storage.sqlite",
    "jsonrpc_tm.storage.mysql",
    "jsonrpc_tm.catalog.builtin",
    "jsonrpc_tm.catalog.none",
    "jsonrpc_tm.auth.x509",
    "jsonrpc_tm.auth.jwt",
    "jsonrpc_tm.auth.users",
    "jsonrpc_tm.methods.transformations",
    "jsonrpc_tm.methods.parameters",
    "jsonrpc_tm.methods.files",
    "jsonrpc_tm.methods.tasks",
    "jsonrpc_tm.methods.claims",
    "jsonrpc_tm.methods.attributes",
    "jsonrpc_tm.methods.bulk",
    "jsonrpc_tm.methods.explaining",
    "jsonrpc_tm.methods.metaqueries",
    "jsonrpc_tm.methods.catalog",
    "jsonrpc_tm.methods.catalog_admin",
    "jsonrpc_tm.methods.monitoring",
    "jsonrpc_tm.methods.service",
    "jsonrpc_tm.rpc.old_keys",
    "jsonrpc_tm.rpc.folding",
    "jsonrpc_tm.rpc.event_numbers",
)
"""The core consists of plugins too."""


def load_plugins(
    paths: Iterable[Path] = (),
    disable: Iterable[str] = (),
    extra: Sequence[Any] = (),
    *,
    entry_points: bool = True,
    shipped: bool = True,
) -> Plugins:
    """Return the plugins of a new server; the parameters are those of ``Plugins``.

    :raises ConfigurationError: one is wrong.
    """
    return Plugins(Hooks, DEFAULT_PLUGINS, paths, disable, extra, entry_points=entry_points, shipped=shipped)


def create_service(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[Any] = (),
    clock: Clock = utc_now,
) -> Service:
    """Read the configuration, load the plugins it names and build the service.

    :param config: YAML file; None for the defaults.
    :param environ: environment whose ``JSONRPC_TM__…`` variables override the file.
    :param overrides: settings by dotted name that override both.
    :raises ConfigurationError: the configuration or a plugin is wrong.
    """
    settings, found = configure(config, environ, overrides, plugins=plugins)
    return build_service(settings, plugins=found, clock=clock)


def configure(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[Any] = (),
) -> tuple[Settings, Plugins]:
    """Return the settings and the plugins, whose own settings are validated with the core's.

    :raises ConfigurationError: settings or plugins are wrong; the message has a line for each problem.
    """
    settings, found, problems = examine(config, environ, overrides, plugins=plugins)
    problems.tell()
    assert settings is not None
    assert found is not None
    return settings, found


def examine(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[Any] = (),
) -> tuple[Settings | None, Plugins | None, Problems]:
    """Return what ``configure`` does as far as it can be had, and all that is wrong.

    :return: the settings, with defaults in place of wrong values, None when the file cannot be read; the plugins, None
        when one of them is wrong; and the problems.
    """
    environ, overrides = environ or {}, overrides or {}
    problems = Problems()

    def loaded() -> tuple[Plugins, list[Setting]]:
        options = plugin_options(config, environ, overrides)
        exposure.judge(exposure.code(config, options.paths), options.exposed)
        found = load_plugins(options.paths, options.disable, plugins)
        return found, [setting for setting, _ in found.collect("register_settings")]

    found, extra = problems.attempt(loaded, (None, []))
    # settings of plugins that are not there look like slips
    known = found is not None
    settings = problems.attempt(lambda: read(config, environ, overrides, extra, problems, strict=known), None)
    if settings is not None:
        problems.lines = [settings.located(line) for line in problems.lines]
    return settings, found, problems


def build_service(
    settings: Settings,
    *,
    plugins: Plugins | None = None,
    storage: Storage | None = None,
    catalog: Catalog | None = None,
    authenticators: Iterable[Authenticator] | None = None,
    clock: Clock = utc_now,
    extra_methods: Iterable[Method] = (),
) -> Service:
    """Build a service; what is given is used, the rest comes from the plugins as the settings say.

    :param plugins: the loaded plugins; None for the default ones alone.
    :param extra_methods: further methods, for tests and embedding.
    :raises ConfigurationError: a setting names something that no plugin provides, or two provide the same.
    """
    plugins = plugins or load_plugins(entry_points=False, shipped=False)
    problems = Problems(settings.located)
    # what is wrong is told at once: something stands in for it, and never gets out of here
    parts = Parts(
        settings,
        storage or problems.attempt(lambda: open_storage(settings, plugins), SqliteStorage(None)),
        problems.attempt(lambda: _users(settings, plugins), ConfiguredUsers({}, {}, {})),
        clock,
    )
    found = catalog or problems.attempt(lambda: open_catalog(parts, plugins), DictCatalog({}))
    own = authenticators
    if own is None:
        own = problems.attempt(lambda: open_authenticators(parts, plugins), ())
    service = problems.attempt(
        lambda: assemble(parts, plugins, catalog=found, authenticators=own, extra_methods=extra_methods), None
    )
    problems.tell()
    assert service is not None
    if authenticators is None:
        service.reread = functools.partial(_reread, service, plugins)
    return service


def _reread(service: Service, plugins: Plugins) -> Reread:
    """Read the configuration again, and make anew what the settings that take effect at a reload are for.

    :raises ConfigurationError: something is wrong; nothing has changed.
    """
    settings = service.settings.renewed()
    problems = Problems(settings.located)
    users = problems.attempt(lambda: _users(settings, plugins), service.users)
    parts = Parts(settings, service.storage, users, service.clock)
    authenticators = problems.attempt(lambda: open_authenticators(parts, plugins), ())
    resolved = problems.attempt(lambda: rules.resolve(settings, service.registry), service.rules)
    problems.tell()

    def apply() -> None:
        if settings["logging.level"] != service.settings["logging.level"]:
            logs.set_level(settings)
        service.settings.become(settings)
        service.renew(parts.users, resolved, authenticators)
        if settings.waiting:
            logger.warning("changed, but in effect at the next start only: %s", ", ".join(settings.waiting))

    return Reread(settings, apply)


def make_parts(
    settings: Settings, plugins: Plugins, *, storage: Storage | None = None, clock: Clock = utc_now
) -> Parts:
    """Return what catalogs and authenticators are made of.

    :param storage: None for the one that the settings name.
    :raises ConfigurationError: see ``build_service``.
    """
    return Parts(settings, storage or open_storage(settings, plugins), _users(settings, plugins), clock)


def _users(settings: Settings, plugins: Plugins) -> Users:
    found: Users = one("user registry", plugins.collect("register_users", settings=settings))
    return found


def assemble(
    parts: Parts,
    plugins: Plugins,
    *,
    catalog: Catalog,
    authenticators: Iterable[Authenticator],
    extra_methods: Iterable[Method] = (),
    lifetimes: Iterable[Lifetime] = (),
) -> Service:
    """Return the service of finished parts.

    :param lifetimes: entered before those of the plugins.
    :raises ConfigurationError: see ``build_service``.
    """
    settings, problems = parts.settings, Problems(parts.settings.located)

    def registered() -> tuple[Registry, Mapping[str, Rule]]:
        methods = [(method, str(origin)) for method, origin in plugins.collect("register_methods", settings=settings)]
        registry = Registry([*methods, *((method, "extra_methods") for method in extra_methods)])
        return registry, rules.resolve(settings, registry)

    def collected(hook: str) -> list[tuple[Any, Provenance]]:
        return problems.attempt(lambda: plugins.collect(hook, settings=settings), [])

    def items(hook: str) -> tuple[Any, ...]:
        return tuple(item for item, _ in collected(hook))

    registry, resolved = problems.attempt(registered, (None, {}))
    policy: Any = problems.attempt(lambda: one("policy", plugins.collect("register_policy", settings=settings)), None)
    status_rules = tuple(problems.attempt(lambda: kinds_of(collected("register_status_rule")), ()))
    listeners = items("register_listener")
    machines = problems.attempt(lambda: machines_of(collected("register_state_machines")), {})
    observers, change_writers = items("register_call_observer"), items("register_change_writer")
    own_lifetimes = tuple(told(lifetime, str(by)) for lifetime, by in collected("register_lifetime"))
    routes = problems.attempt(lambda: _routes(plugins, settings), ())
    health_checks = tuple((check, str(by)) for check, by in collected("register_health_check"))
    problems.tell()
    assert registry is not None
    return Service(
        settings=settings,
        registry=registry,
        rules=resolved,
        storage=parts.storage,
        catalog=catalog,
        policy=policy,
        users=parts.users,
        clock=parts.clock,
        authenticators=tuple(authenticators),
        status_rules=status_rules,
        machines=machines,
        listeners=listeners,
        observers=observers,
        change_writers=change_writers,
        lifetimes=(*lifetimes, *own_lifetimes),
        routes=routes,
        health_checks=health_checks,
    )


def open_storage(settings: Settings, plugins: Plugins, *, wait: bool = True) -> Storage:
    """Return the storage that ``storage.url`` names, not yet opened.

    :param wait: whether a database that does not answer is waited for.
    :raises ConfigurationError: no plugin provides the URL's scheme.
    """
    url = settings["storage.url"]
    provider, origin = _storage_provider(url, plugins)
    migrations = [item for item, _ in plugins.collect("register_migrations", settings=settings)]
    options = {**settings.section("storage"), "folder": settings.folder, "wait": wait}
    with _blaming(origin):
        return provider.open(url, migrate=settings["storage.migrate"], migrations=migrations, options=options)


def storage_provider(url: str, plugins: Plugins) -> StorageProvider:
    """Return what opens databases of *url*'s scheme.

    :raises ConfigurationError: no plugin provides it.
    """
    return _storage_provider(url, plugins)[0]


def _storage_provider(url: str, plugins: Plugins) -> tuple[StorageProvider, Provenance]:
    return _named("storage", scheme(url), plugins.collect("register_storage"), "scheme")


def open_catalog(parts: Parts, plugins: Plugins) -> Catalog:
    """Return the file catalog that the setting ``catalog`` names, not yet opened.

    :raises ConfigurationError: no plugin provides it, or its options are wrong.
    """
    options = parts.settings["catalog"]
    where = parts.settings.origin("catalog", "name")
    provider: CatalogProvider
    provider, origin = _named("catalog", options["name"], plugins.collect("register_catalog"), "name", where)
    with _blaming(origin):
        return provider.open(options, parts)


def open_authenticators(parts: Parts, plugins: Plugins) -> tuple[Authenticator, ...]:
    """Return what the setting ``authentication`` lists, in its order.

    :raises ConfigurationError: no plugin provides one, or its options are wrong.
    """
    factories, problems = plugins.collect("register_authenticator"), Problems(parts.settings.located)

    def make(index: int, name: str, options: Mapping[str, Any] | None) -> Authenticator:
        where = parts.settings.origin("authentication", index, name)
        factory: AuthenticatorFactory
        factory, origin = _named("authenticator", name, factories, "name", where)
        with _blaming(origin):
            return factory(options or {}, parts)

    made = []
    for index, entry in enumerate(parts.settings["authentication"]):
        for name, options in entry.items():
            made.append(problems.attempt(functools.partial(make, index, name, options), None))
    problems.tell()
    return tuple(filter(None, made))


def _routes(plugins: Plugins, settings: Settings) -> tuple[tuple[Route, str], ...]:
    found: list[tuple[Route, str]] = []
    for route, origin in plugins.collect("register_routes", settings=settings):
        rule = None if route.rule is None else rules.rule(route.rule, f"route {route.path} of {origin}")
        found.append((replace(route, rule=rule), str(origin)))
    return tuple(found)


@contextlib.contextmanager
def _blaming(origin: Provenance) -> Iterator[None]:
    """Name the plugin in whose factory something goes wrong that it does not tell of itself."""
    try:
        yield
    except (ConfigurationError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ConfigurationError(f"plugin {origin}: {described(error)}") from error


def _named(
    kind: str, name: str, found: Sequence[tuple[Any, Provenance]], attribute: str, where: str = ""
) -> tuple[Any, Provenance]:
    """Return the only object whose *attribute* is *name*, and where it came from.

    :param where: the place in the configuration that has the name.
    """
    by_name: dict[str, tuple[Any, Provenance]] = {}
    for item, origin in found:
        key = getattr(item, attribute)
        if key in by_name:
            raise ConfigurationError(f"{kind} {key!r} is provided by both {by_name[key][1]} and {origin}")
        by_name[key] = item, origin
    if name not in by_name:
        hint = suggestion(name, by_name) or f"; there are {', '.join(sorted(by_name)) or 'none'}"
        place = f"{where}: " if where else ""
        raise ConfigurationError(f"{place}no plugin provides the {kind} {name!r}{hint}")
    return by_name[name]
