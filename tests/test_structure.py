"""The rules of the house that import-linter cannot see; DESIGN and docs/architecture.md say why they are there."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import jsonrpc_tm

PACKAGE = Path(jsonrpc_tm.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
SQL = re.compile(r"\b(SELECT|DELETE)\s.*\bFROM\b|\bINSERT\s+INTO\b|\bUPDATE\s+\w+\s.*\bSET\b", re.DOTALL)
SQL_ROOMS = ("domain", "catalog", "storage", "tools")
STATUSES = re.compile(
    r"INSERT INTO (Transformations|TransformationFiles|TransformationTasks|DataFiles)\b"
    r"|DELETE FROM (Transformations|TransformationFiles|TransformationTasks|DataFiles)\b"
    r"|UPDATE \w+ .*SET\b.*Status\s*=",
    re.DOTALL,
)
# new names in DataFiles are registered where names are looked up; its statuses move in transitions all the same
STATUS_ROOMS = ("domain/transitions", "tools", "storage")


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@functools.cache
def texts(path: Path) -> tuple[str, ...]:
    """Return the string literals of a file; of f-strings what is written, docstrings left out."""
    return tuple(_texts(path))


def _texts(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_files_are_short() -> None:
    lines = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in [*FILES, *PLUGINS]}
    assert {path: number for path, number in lines.items() if number > 400} == {}


def test_sql_stays_in_its_rooms() -> None:
    found = {name(path) for path in FILES if any(SQL.search(text) for text in texts(path))}
    assert found
    assert {file for file in found if not file.startswith(SQL_ROOMS)} == set()
    with_tables_of_their_own = {"audit_log/outbox.py"}
    having = {"/".join(path.parts[-2:]) for path in PLUGINS if any(SQL.search(text) for text in texts(path))}
    assert having == with_tables_of_their_own


def test_statuses_are_written_by_transitions_alone() -> None:
    found = {name(path) for path in FILES if any(STATUSES.search(text) for text in texts(path))}
    assert {file for file in found if file.startswith("domain/transitions")}
    assert {file for file in found if not file.startswith(STATUS_ROOMS)} == set()


def test_a_name_means_one_thing() -> None:
    """Classes and types; a field is called like what it loads."""
    where = defaultdict(set)
    for path in FILES:
        if name(path) in ("core/fields.py", "methods/fields.py", "settings/types.py"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].add(name(path))
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                for target in node.targets:
                    # an alias such as Kind = Literal[…]
                    if isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper():
                        where[target.id].add(name(path))
    assert {name: files for name, files in where.items() if len(files) > 1} == {}
