"""The snippets of all pages import what is promised, and nothing else of the package."""

import ast

import pytest

from .blocks import ROOT, blocks

PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PROMISED = {
    "plugin authors": ("jsonrpc_tm.api",),
    "test authors": ("jsonrpc_tm.tools.testing",),
    # what can be installed with the client alone
    "clients": ("jsonrpc_tm.client", "jsonrpc_tm.core.errors"),
}


def modules(snippet: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(snippet)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name for name in found if name.partition(".")[0] == "jsonrpc_tm"}


@pytest.mark.parametrize("page", PAGES)
def test_snippets_import_what_is_promised(page):
    for snippet in blocks(page, "python"):
        whose = (
            PROMISED["clients"] if page == "docs/clients.md" else PROMISED["plugin authors"] + PROMISED["test authors"]
        )
        for name in modules(snippet):
            assert any(name == known or name.startswith(f"{known}.") for known in whose), snippet.partition("\n")[0]
