"""Every command of `jsonrpc-tm` that a page names is one."""

import re

import click

from jsonrpc_tm.tools.adopt.command import db

from .blocks import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("changes/*.md")]


def test_the_commands_that_pages_name_exist():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    subcommands = set(re.findall(r"(?:jsonrpc-tm |`)db ([a-z-]+)", text))
    assert {"check", "upgrade", "verify"} <= subcommands <= set(db.list_commands(click.Context(db)))
