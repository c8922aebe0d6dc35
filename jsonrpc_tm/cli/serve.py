"""The command ``serve``."""

import importlib
import logging
from typing import TYPE_CHECKING

import click

from ..observe import logs
from .program import Program, pass_program

if TYPE_CHECKING:
    from ..rpc.service import Service

logger = logging.getLogger(__name__)


@click.command()
@click.option("--harness", is_flag=True, help="Let tests drive it: clock and database can be reset (loopback only).")
@pass_program
def serve(program: Program, harness: bool) -> None:
    """Start the server.

    It prints `listening on URL` when it is ready and stops on SIGTERM or Ctrl-C.

    Without configuration it listens on https://127.0.0.1:8443/rpc with a SQLite database `tm.db` in the current
    folder, and makes certificates for development.
    """
    from ..app import build_service
    from ..http import server

    settings, plugins = program.settings, program.plugins
    logs.configure(settings)

    def service() -> "Service":
        return build_service(settings, plugins=plugins)

    factory = service
    if harness:
        # by name: a server in production loads none of the tools
        factory = importlib.import_module("jsonrpc_tm.tools.harness").driven(settings, plugins)
    if settings["server.tls.mode"] == "dev":
        logger.info("certificates for development are in %s", settings.path("server.tls.folder"))
    server.serve(factory, settings)
