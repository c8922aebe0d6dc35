"""DIRAC's HTTPS wire: its own clients, unchanged, talk to this server.

Enable it in the configuration::

    dirac_https:
      enabled: true

Then ``POST /Transformation/TransformationManager`` speaks the form-encoded wire of DIRAC's Tornado services over the
same methods, schemas, rights and storage as JSON-RPC. Only public hooks and interfaces are used; the folder is meant
to be read as the example of a serious plugin.
"""

from collections.abc import Iterable

from jsonrpc_tm.api import Route, Setting, Settings, Wire, hookimpl

from . import configuration, manager

JSONRPC_TM_API = 1
SECTION = "dirac_https"


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Provide the section ``dirac_https``."""
    yield Setting(f"{SECTION}.enabled", "boolean", False, "Answer DIRAC's own clients.")
    yield Setting(f"{SECTION}.paths", "texts", [manager.PATH], "Paths of the service, as clients are configured.")
    yield Setting(
        f"{SECTION}.records", "boolean", True, "Send `Records` and `ParameterNames` beside lists, as DIRAC does."
    )
    yield Setting(
        f"{SECTION}.configuration_server",
        "boolean",
        False,
        f"Also answer what `DIRAC.initialize()` asks of a Configuration server, at {configuration.PATH}.",
    )


@hookimpl
def register_routes(settings: Settings) -> Iterable[Route]:
    """Provide the service's paths, and the Configuration server's."""
    if not settings[f"{SECTION}.enabled"]:
        return
    handler = manager.handler(records=settings[f"{SECTION}.records"])
    for path in settings[f"{SECTION}.paths"]:
        yield Route("*", path, handler)
    if settings[f"{SECTION}.configuration_server"]:
        yield Route("*", configuration.PATH, configuration.handler())


@hookimpl
def register_replay_wire() -> Iterable[Wire]:
    """Provide ``replay --wire dirac``."""
    from .replaying import DiracWire  # a server needs nothing of it

    yield DiracWire()
