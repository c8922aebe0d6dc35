"""Commands that make credentials for development: ``dev-certs``."""

from pathlib import Path

import click

from .program import Program, pass_program


@click.command("dev-certs")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--user", "users", multiple=True, metavar="NAME", help="Make a certificate for this user. May be repeated."
)
@click.option(
    "--dn",
    metavar="DN",
    help="Subject of the user's certificate, such as /DC=org/DC=example/CN=alice; else what the registry says.",
)
@click.option("--proxy", is_flag=True, help="Make a proxy of each user's certificate too, valid for a day.")
@click.option("--proxy-group", metavar="GROUP", help="The same, with a DIRAC group in the proxy.")
@pass_program
def dev_certs(
    program: Program, folder: Path, users: tuple[str, ...], dn: str | None, proxy: bool, proxy_group: str | None
) -> None:
    """Make certificates for development.

    DIR gets an authority, a server's certificate, and those of users with any subject.

    What is there already is kept, the authority too; a user's certificate is made anew and lasts 90 days. The
    authority's key lies beside it: do not use it for anything that matters.
    """
    from ..auth import devcerts
    from ..auth.users import entries

    if dn is not None and len(users) != 1:
        raise click.UsageError("--dn needs exactly one --user.")
    known = entries(program.settings)["users"]
    subjects = {user: dn or next(iter(known.get(user, {}).get("dns", ())), None) for user in users}
    for user, subject in subjects.items():
        devcerts.check(user, subject, proxy_group)
    made = devcerts.ensure(folder)
    click.echo(f"authority {made.ca}")
    click.echo(f"server {made.certificate('server')} {made.key('server')}")
    for user, subject in subjects.items():
        devcerts.issue(folder, user, subject)
        click.echo(f"{user} {made.certificate(user)} {made.key(user)}")
        if proxy or proxy_group is not None:
            click.echo(f"{user} proxy {devcerts.issue_proxy(folder, user, proxy_group)}")
