"""Puts a server together from settings and plugins; everything explicit, nothing global."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .catalog.base import Catalog
from .core.errors import ConfigurationError
from .core.identity import Authenticator
from .plugin.manager import Plugins, Provenance
from .rpc import rules
from .rpc.method import Method, Registry
from .rpc.service import Clock, Service, utc_now
from .settings import Settings, load, plugin_options
from .storage.base import Storage, StorageProvider
from .storage.urls import scheme


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
    """Return the settings and the plugins, whose own settings are validated with the core's."""
    environ, overrides = environ or {}, overrides or {}
    options = plugin_options(config, environ, overrides)
    found = Plugins(options.paths, options.disable, plugins)
    extra = [setting for setting, _ in found.collect("register_settings")]
    return load(config, environ, overrides, extra), found


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
    plugins = plugins or Plugins(entry_points=False, shipped=False)
    methods = [(method, str(origin)) for method, origin in plugins.collect("register_methods", settings=settings)]
    registry = Registry([*methods, *((method, "extra_methods") for method in extra_methods)])
    service = Service(
        settings=settings,
        registry=registry,
        rules=rules.resolve(settings, registry),
        storage=storage or open_storage(settings, plugins),
        policy=_one("policy", plugins.collect("register_policy", settings=settings)),
        users=_one("user registry", plugins.collect("register_users", settings=settings)),
        clock=clock,
        status_rules=_all(plugins, "register_status_rule", settings),
        listeners=_all(plugins, "register_listener", settings),
        observers=_all(plugins, "register_call_observer", settings),
        lifetimes=_all(plugins, "register_lifetime", settings),
        plugins=plugins,
    )
    service.catalog = catalog or _open_catalog(service, settings, plugins)
    service.authenticators = (
        _open_authenticators(service, settings, plugins) if authenticators is None else tuple(authenticators)
    )
    return service


def open_storage(settings: Settings, plugins: Plugins) -> Storage:
    """Return the storage that ``storage.url`` names, not yet opened.

    :raises ConfigurationError: no plugin provides the URL's scheme.
    """
    provider = storage_provider(settings["storage.url"], plugins)
    migrations = [item for item, _ in plugins.collect("register_migrations", settings=settings)]
    options = {**settings.section("storage"), "folder": settings.folder}
    storage: Storage = provider.open(
        settings["storage.url"], migrate=settings["storage.migrate"], migrations=migrations, options=options
    )
    return storage


def storage_provider(url: str, plugins: Plugins) -> StorageProvider:
    """Return what opens databases of *url*'s scheme.

    :raises ConfigurationError: no plugin provides it.
    """
    provider: StorageProvider = _named("storage", scheme(url), plugins.collect("register_storage"), "scheme")
    return provider


def _open_catalog(service: Service, settings: Settings, plugins: Plugins) -> Catalog:
    options = settings["catalog"]
    where = settings.origin("catalog", "name")
    provider = _named("catalog", options["name"], plugins.collect("register_catalog"), "name", where)
    catalog: Catalog = provider.open(options, service)
    return catalog


def _open_authenticators(service: Service, settings: Settings, plugins: Plugins) -> tuple[Authenticator, ...]:
    factories = plugins.collect("register_authenticator")
    return tuple(
        _named("authenticator", name, factories, "name", settings.origin("authentication", index, name))(
            options or {}, service
        )
        for index, entry in enumerate(settings["authentication"])
        for name, options in entry.items()
    )


def _all(plugins: Plugins, hook: str, settings: Settings) -> tuple[Any, ...]:
    return tuple(item for item, _ in plugins.collect(hook, settings=settings))


def _named(kind: str, name: str, found: Sequence[tuple[Any, Provenance]], attribute: str, where: str = "") -> Any:
    """Return the only object whose *attribute* is *name*.

    :param where: the place in the configuration that has the name.
    """
    by_name: dict[str, tuple[Any, Provenance]] = {}
    for item, origin in found:
        key = getattr(item, attribute)
        if key in by_name:
            raise ConfigurationError(f"{kind} {key!r} is provided by both {by_name[key][1]} and {origin}")
        by_name[key] = item, origin
    if name not in by_name:
        close = difflib.get_close_matches(name, by_name, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(by_name)) or 'none'}"
        place = f"{where}: " if where else ""
        raise ConfigurationError(f"{place}no plugin provides the {kind} {name!r}; {hint}")
    return by_name[name][0]


def _one(kind: str, found: Sequence[tuple[Any, Provenance]]) -> Any:
    """Return the object that a plugin provides instead of the default one, else the default one."""
    replacing = [(item, origin) for item, origin in found if origin.kind != "default"]
    if len(replacing) > 1:
        raise ConfigurationError(f"two plugins replace the {kind}: {replacing[0][1]} and {replacing[1][1]}")
    if not found:
        raise ConfigurationError(f"no plugin provides a {kind}")
    return (replacing or found)[0][0]
