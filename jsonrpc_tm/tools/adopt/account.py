"""What the database account may do."""

import re

from .database import Database

NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER")
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?:`(?P<quoted>(?:[^`]|``)+)`|(?P<star>\*))\.\* TO ")


async def missing_rights(database: Database, *, trigger: bool) -> list[str]:
    """Return the rights that the account lacks on the database, as the statements that would grant them.

    :param trigger: there is a trigger to be dropped.
    """
    # of the account and of its active roles, and of theirs
    grants = [str(row[0]) for row in await database.session.query("SHOW GRANTS")]
    name = str(await database.tx.fetch_value("SELECT DATABASE()"))
    user, _, host = str(await database.tx.fetch_value("SELECT CURRENT_USER()")).rpartition("@")
    held = rights(grants, name)
    if "ALL PRIVILEGES" in held:
        return []
    needed = NEEDED if database.session.flavour == "MariaDB" else (*NEEDED, "REFERENCES")
    lacking = [right for right in needed if right not in held]
    # who lacks others may not see that there is a trigger
    if (trigger or lacking) and "TRIGGER" not in held:
        lacking.append("TRIGGER")
    return [f"GRANT {right} ON `{name}`.* TO '{user}'@'{host}';" for right in lacking]


def rights(grants: list[str], name: str) -> set[str]:
    """Return the rights on a database that lines of SHOW GRANTS give."""
    held: set[str] = set()
    for grant in grants:
        match = _GRANT.match(grant)
        if match and (match["star"] or re.fullmatch(_pattern(match["quoted"].replace("``", "`")), name, re.IGNORECASE)):
            held |= set(match["rights"].split(", "))
    return held


def _pattern(name: str) -> str:
    """Return the expression for a database's name in a grant, where ``_`` and ``%`` are wildcards."""
    parts = re.split(r"(\\.|[%_])", name)
    return "".join({"%": ".*", "_": "."}.get(part, re.escape(re.sub(r"\\(.)", r"\1", part))) for part in parts)
