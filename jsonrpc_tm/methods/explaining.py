"""Why nothing moves (section 8.3 of the specification)."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, get_args

from ..core import fields
from ..core.errors import CatalogError, NotFound
from ..domain import explaining
from ..domain.explaining import Explanation
from ..matching.doubts import doubts
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Method


async def explain(outside: Outside, transName: int | str) -> list[dict[str, Any]]:
    """Tell why nothing moves in a transformation: findings with a code, a text for people and a count.

    ``count`` is the number of files or tasks that a finding is about, 0 where it is about none. Where there is nothing
    to be found, ``nothing_wrong`` is the only finding.

    :raises NotFound: no such transformation.
    :raises CatalogError: the catalog failed; it is asked only about an Input query.
    """
    facts = await outside.read(explaining.read, transName)
    found = list(explaining.findings(facts))
    if facts.query is not None:
        declared = await outside.catalog.fields()
        found += [Explanation("condition_never_holds", doubt) for doubt in doubts(facts.query, declared)]
        trans = facts.trans
        if undeclared := [field for field in facts.query if field not in declared]:
            text = f"The catalog declares no field {', '.join(undeclared)}: a search for its Input query finds nothing"
            found.append(Explanation("query_matches_nothing", text))
        elif not await outside.catalog_for(trans.author, trans.group).find(facts.query):
            found.append(
                Explanation("query_matches_nothing", "The catalog has no file now that its Input query matches")
            )
    return [asdict(one) for one in found or [Explanation("nothing_wrong", "Nothing keeps it from moving")]]


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the method."""
    yield Method(
        "explainTransformation",
        explain,
        {"transName": fields.Transformation(required=True)},
        errors=(NotFound, CatalogError),
        result=results.listed(
            results.members(code={"enum": list(get_args(explaining.Code))}, text=results.TEXT, count=results.INTEGER),
            "the findings",
        ),
    )
