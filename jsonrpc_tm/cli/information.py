"""The commands ``plugins`` and ``settings``: what a server would run with."""

import click

from ..settings import Settings
from ..settings.document import markdown, shown
from .checking import checked, warnings_told
from .program import Program, json_text, pass_program, print_json


@click.command()
@click.option("--json", "as_document", is_flag=True, help="Print JSON.")
@pass_program
def plugins(program: Program, as_document: bool) -> None:
    """List the plugins.

    Each is shown with where it comes from and the hooks it implements.
    """
    loaded = program.plugins
    rows = [
        {"name": name, "kind": origin.kind, "origin": origin.origin, "hooks": loaded.hooks_of(name)}
        for name, origin in loaded.provenance.items()
    ]
    if as_document:
        print_json({"plugins": rows, "disabled": program.settings["plugins.disable"]})
        return
    for row in rows:
        where = "" if row["origin"] == row["name"] else f", {row['origin']}"
        click.echo(f"{row['name']} ({row['kind']}{where})\n    {', '.join(row['hooks'])}")
    for name in program.settings["plugins.disable"]:
        click.echo(f"{name} (disabled)")


@click.command()
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the documentation of the settings.")
@click.option("--json", "as_document", is_flag=True, help="Print the values as JSON.")
@pass_program
def settings(program: Program, as_markdown: bool, as_document: bool) -> None:
    """Show the settings.

    Each is shown with its value and where that came from, secrets excepted. What `serve` would refuse is told as by
    `check-config`, with exit code 2.
    """
    if as_markdown:
        click.echo(markdown(program.settings.table.values()), nl=False)
        return
    with warnings_told():
        _show(program.settings, as_document)
        checked(program)


def _show(found: Settings, as_document: bool) -> None:
    values = {name: shown(setting, found[name]) for name, setting in found.table.items()}
    if as_document:
        print_json(values)
        return
    for name, setting in found.table.items():
        origin = found.origin(name)
        click.echo(f"{name} = {json_text(values[name])}" + (f"  # {origin}" if origin else ""))
        click.echo(f"    {setting.help}")
