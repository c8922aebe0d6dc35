"""Definitions of tables: read from CREATE statements, made for the new tables, and compared with the old ones'."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from .database import SourceColumn

KEY_BYTES = 3072
"""Most bytes of an index's columns together."""
_PARENTS = {"Transformations", "DataFiles", "TransformationFiles", "TransformationTasks"}
"""Tables to which foreign keys of the reference lead."""
_NAME = r"(?:`(?P<quoted>(?:[^`]|``)+)`|(?P<bare>\w+))"
_KEY = re.compile(
    rf"(?P<kind>(?:(?:PRIMARY|UNIQUE|FULLTEXT|SPATIAL|VECTOR) )?KEY) (?:{_NAME} )?"
    r"\((?P<columns>(?:`(?:[^`]|``)+`|[^()`]|\((?:[^()]|\([^()]*\))*\))*)\)"
)
_CONSTRAINT = re.compile(rf"CONSTRAINT {_NAME} (?P<rest>.*)")
_COLUMN = re.compile(rf"{_NAME} (?P<rest>.*)")
_CHARSET = r"( CHARACTER SET \w+)?( COLLATE \w+)?"
# what every table has, and what becomes this program's own in any case
_USUAL_OPTIONS = r"ENGINE=\w+|AUTO_INCREMENT=\d+|DEFAULT (CHARSET|CHARACTER SET)[= ]\w+|COLLATE[= ]\w+|ROW_FORMAT=\w+"
# not part of what an operator changed: type, character set, NULL; numbers may have quotes
_USUAL_PARTS = rf"^\w+(\([^)]*\))?( unsigned)?{_CHARSET}| NOT NULL\b| AUTO_INCREMENT\b| DEFAULT NULL\b|(?<!T) NULL\b"
_ORDINARY = ("PRIMARY KEY", "UNIQUE KEY", "KEY")
_OF_VERSIONS = " GENERATED ALWAYS AS ROW "
"""Of columns that only a table with SYSTEM VERSIONING can have."""
_OWN_DEFAULTS = {"'AprioriGood'", "''", "'StringType'"}
"""Defaults of the reference that are others here."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index.

    :param kind: such as ``UNIQUE KEY``.
    :param columns: with the length of a prefix and ``DESC``, where there is one.
    """

    kind: str
    name: str
    columns: tuple[str, ...]
    text: str


@dataclass
class Definition:
    """A table's definition.

    :param columns: what follows the name, by name.
    :param constraints: foreign keys and checks: what follows the name, by name.
    :param options: what follows the columns.
    """

    columns: dict[str, str] = field(default_factory=dict)
    keys: list[Index] = field(default_factory=list)
    constraints: dict[str, str] = field(default_factory=dict)
    options: str = ""

    def statement(self, prefix: str, name: str) -> str:
        """Return the statement that makes the table; *prefix* is that of its name and of those it refers to."""
        items = [f"`{column}` {text}" for column, text in self.columns.items()]
        items += [key.text for key in self.keys]
        for constraint, text in self.constraints.items():
            # only this program's own refer to others
            items.append(f"CONSTRAINT `{constraint}` " + re.sub(r"\bREFERENCES (\w+)", rf"REFERENCES {prefix}\1", text))
        return f"CREATE TABLE `{prefix}{name}` (\n  " + ",\n  ".join(items) + f"\n){self.options}"


def parse(statement: str) -> Definition:
    """Return what a CREATE TABLE statement says, as SHOW CREATE TABLE prints it or as this program's schema has it."""
    body, _, options = statement.partition("(\n")[2].partition("\n)")
    found = Definition(options=options)
    for line in re.sub(r"\n {8,}", " ", body).split("\n"):
        item = line.strip().removesuffix(",")
        if match := _KEY.match(item):
            columns = tuple(part.strip().replace("`", "") for part in match["columns"].split(","))
            found.keys.append(Index(match["kind"], match["quoted"] or match["bare"] or "", columns, item))
        elif match := _CONSTRAINT.match(item):
            found.constraints[match["quoted"] or match["bare"]] = match["rest"]
        elif item.startswith("PERIOD "):
            found.options += f" {item}"
        elif match := _COLUMN.match(item):
            name, text = match["quoted"] or match["bare"], match["rest"]
            if text.endswith(" PRIMARY KEY"):
                text = text.removesuffix(" PRIMARY KEY")
                found.keys.insert(0, Index("PRIMARY KEY", "", (name,), f"PRIMARY KEY (`{name}`)"))
            found.columns[name] = text
    return found


def length(text: str) -> int:
    """Return the most characters that a column of this program's schema holds; 0 for other than texts."""
    if match := re.match(r"VARCHAR\((\d+)\)", text):
        return int(match[1])
    return {"MEDIUMTEXT": 2**24 - 1, "LONGTEXT": 2**32 - 1}.get(text.split(" ", maxsplit=1)[0], 0)


@dataclass
class NewTable:
    """The definition of a new table, and what it changes.

    :param own: changes of what the reference made, which every adoption makes.
    :param lost: what somebody added or changed and the new table has not, or has otherwise.
    """

    definition: Definition
    own: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def plan(
    table: str, old: Definition, columns: Mapping[str, SourceColumn], new: Definition, keys: Container[tuple[str, ...]]
) -> NewTable:
    """Return the definition of the new table: this program's, and what extensions added to the old one.

    :param columns: of the old table, by the name that they get.
    :param new: this program's definition.
    :param keys: columns of the reference's own indexes, which this program's replace.
    """
    made = NewTable(Definition(dict(new.columns), list(new.keys), dict(new.constraints), new.options))
    indexed = {column for key in new.keys for column in key.columns}
    for name, column in columns.items():
        text = old.columns[name]
        if name in new.columns:
            made.definition.columns[name] = _widened(new.columns[name], column, name in indexed)
            _compare(made, f"{table}.{name}", text, made.definition.columns[name])
        elif _OF_VERSIONS in text:
            made.lost.append(f"{table}.{name}: {text}: left out")
        else:
            made.definition.columns[name] = kept = _kept(column, text)
            if not column.nullable and " NOT NULL" not in kept and not column.generated:
                made.lost.append(f"{table}.{name}: is NULL where no value is given; had to be given before")
    mine = {key.columns for key in new.keys}
    for key in old.keys:
        if key.kind in _ORDINARY and (key.columns in keys or (key.kind == "KEY" and key.columns in mine)):
            if not any(key.columns == each[: len(key.columns)] for each in mine):
                made.own.append(f"{table}: {key.text}: no longer there")
        elif any(_column_of(part) not in made.definition.columns for part in key.columns):
            made.lost.append(f"{table}: {key.text}: left out, as is a column of it")
        elif key.kind in _ORDINARY and (size := _size(key, columns, new)) > KEY_BYTES:
            made.lost.append(f"{table}: {key.text}: left out, {size} bytes are more than an index holds ({KEY_BYTES})")
        elif key.kind not in (*_ORDINARY, "FULLTEXT KEY"):
            # such columns must not be NULL, which they may be from now on
            made.lost.append(f"{table}: {key.text}: left out")
        else:
            made.definition.keys.append(_renamed(key))
    _constraints(made, table, old, new)
    if options := " ".join(re.sub(_USUAL_OPTIONS, "", old.options).split()):
        made.lost.append(f"{table}: {options}: left out")
    return made


def _widened(text: str, column: SourceColumn, indexed: bool) -> str:
    """Return this program's column, as wide as the old one where that is wider."""
    if not (mine := length(text)) or (column.length or 0) <= mine:
        return text
    if indexed:
        kind = f"VARCHAR({max(mine, min(column.length or 0, 700))})"
    elif (column.length or 0) <= 1000:
        kind = f"VARCHAR({column.length})"
    else:  # a TEXT holds bytes, and characters become up to three times as long
        kind = "MEDIUMTEXT" if (column.length or 0) < 2**16 else "LONGTEXT"
    return re.sub(r"^\w+(\(\d+\))?", kind, text)


def _kept(column: SourceColumn, text: str) -> str:
    """Return the definition of an extension's column, which no longer depends on the table's character set."""
    if column.charset and text.startswith(column.type):
        rest = re.sub(f"^{_CHARSET}", "", text[len(column.type) :])
        text = f"{column.type} CHARACTER SET {column.charset[0]} COLLATE {column.charset[1]}{rest}"
    if not (column.nullable or column.default or column.generated or column.extra == "auto_increment"):
        # this program's INSERTs do not name an extension's columns
        text = text.replace(" NOT NULL", " NULL", 1)
    return text


def _compare(made: NewTable, name: str, before: str, after: str) -> None:
    def special(text: str) -> str:
        return re.sub(r"'(-?[\d.]+)'", r"\1", re.sub(_USUAL_PARTS, "", text)).strip()

    old, new = special(before), special(after)
    if old not in ("", new) and old.removeprefix("DEFAULT ") not in _OWN_DEFAULTS:
        made.lost.append(f"{name}: {old}: is {new or 'without a default'} from now on")
    if before.lower().replace(" default null", "") != after.lower():
        made.own.append(f"{name}: {before} becomes {after}")


def _renamed(key: Index) -> Index:
    """Return an index as the new table can have it: there is a primary key already."""
    if key.kind != "PRIMARY KEY":
        return key
    return Index("UNIQUE KEY", "", key.columns, key.text.replace("PRIMARY KEY", "UNIQUE KEY", 1))


def _column_of(part: str) -> str:
    """Return the column that a part of an index is of: it may say how much of it, and the direction."""
    return part.removesuffix(" DESC").partition("(")[0]


def _size(key: Index, columns: Mapping[str, SourceColumn], new: Definition) -> int:
    """Return the bytes that an index takes at most."""
    total = 0
    for part in key.columns:
        name, prefix = _column_of(part), part.partition("(")[2]
        column = columns[name]
        characters = int(prefix.partition(")")[0]) if prefix else column.length or 8
        # the core's texts are utf8mb4 from now on, others stay as they are
        charset = "utf8mb4" if name in new.columns else (column.charset or ("",))[0]
        total += characters * {"utf8mb4": 4, "utf8mb3": 3, "utf8": 3}.get(charset, 1)
    return total


def _constraints(made: NewTable, table: str, old: Definition, new: Definition) -> None:
    """Take over the checks that mean the same in the new table; foreign keys become this program's own."""
    texts = [name for name, text in new.columns.items() if length(text)]
    for name, text in old.constraints.items():
        if text.startswith("FOREIGN KEY"):
            parent = re.search(r"REFERENCES `([^`]+)`", text)
            if parent and parent[1] not in _PARENTS:
                made.lost.append(f"{table}: CONSTRAINT `{name}` {text}: left out")
        elif any(f"`{column}`" in text for column in texts):
            # texts compare exactly now: rows that passed the check might not
            made.lost.append(f"{table}: CONSTRAINT `{name}` {text}: left out, because texts compare exactly now")
        else:
            made.definition.constraints[name] = text
