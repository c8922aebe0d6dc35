"""The command ``serve``."""

import logging

import click

from ..observe import logs
from .checking import checked, warnings_told
from .program import Program, pass_program

logger = logging.getLogger(__name__)


@click.command()
@click.option("--harness", is_flag=True, help="Let tests drive it: clock and database can be reset (loopback only).")
@pass_program
def serve(program: Program, harness: bool) -> None:
    """Start the server.

    It prints `listening on URL` when it is ready and stops on SIGTERM or Ctrl-C. SIGHUP makes it read configuration and
    certificates again.

    Without configuration it listens on https://127.0.0.1:8443/rpc with a SQLite database `tm.db` in the current
    folder, and makes certificates for development.
    """
    from ..http import server

    with warnings_told():
        service = checked(program, harness=harness)
    settings = service.settings
    logs.configure(settings)
    if settings["server.tls.mode"] == "dev":
        logger.info("certificates for development are in %s", settings.path("server.tls.folder"))
    server.serve(service)
