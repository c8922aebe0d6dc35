"""The reference of ``jsonrpc_tm.api`` on the page about plugins: each name with the first sentence of its docstring.

Run as a program it renews the page: ``python -m jsonrpc_tm.tools.docs.reference docs/plugins.md``.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_API = Path(__file__).resolve().parents[2] / "api.py"
_ROW = re.compile(r"^\| `(?P<name>[\w.]+)` \|.*\|$", re.MULTILINE)
_END = re.compile(r"\.(\s|$)|:$|\n\n")


def renewed(page: str) -> str:
    """Return the page with the second cell of the rows ``| `name` | … |`` below ``## Reference`` as the code has it.

    Rows of names that the api does not have stay as they are.
    """
    known = descriptions()

    def row(found: re.Match[str]) -> str:
        name = found["name"]
        return f"| `{name}` | {known[name]} |" if name in known else found[0]

    before, heading, reference = page.partition("\n## Reference\n")
    return before + heading + _ROW.sub(row, reference)


def descriptions() -> dict[str, str]:
    """Return what each name of the api is; ``""`` where its docstring is missing.

    What is public in a module is there too, as ``module.name``, and in the modules of a package.
    """
    found: dict[str, str] = {}
    for name, file in _homes():
        members = dict(_members(ast.parse(file.read_text(encoding="utf-8"))))
        if name in members:
            found[name] = _sentence(members[name])
        else:
            found |= _module(name, file)
    return found


def _module(name: str, file: Path) -> dict[str, str]:
    """Return what a module and its members are."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {name: _sentence(ast.get_docstring(tree))}
    found |= {f"{name}.{key}": _sentence(doc) for key, doc in _members(tree) if not key.startswith("_")}
    if file.name == "__init__.py":
        for below in sorted(file.parent.glob("[!_]*.py")):
            found |= _module(f"{name}.{below.stem}", below)
    return found


def _homes() -> Iterator[tuple[str, Path]]:
    """Yield each name of the api and the file that it is defined in, or that it is."""
    for node in ast.walk(ast.parse(_API.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = _API.parent.joinpath(*(node.module or "").split("."))
            for alias in node.names:
                choices = (home / f"{alias.name}.py", home / alias.name / "__init__.py", home.with_suffix(".py"))
                yield alias.name, next(file for file in choices if file.is_file())


def _members(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Yield what a module defines, with its docstring: for a value, the text that follows it."""
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, ast.get_docstring(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, _text(following)


def _text(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return None


def _sentence(doc: str | None) -> str:
    """Return the first sentence, in Markdown, on one line."""
    first = _END.split(doc or "", maxsplit=1)[0]
    return " ".join(first.split()).replace("``", "`").replace("|", "\\|")


def main(pages: list[str]) -> None:
    """Renew pages.

    :param pages: paths.
    """
    for page in map(Path, pages):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
