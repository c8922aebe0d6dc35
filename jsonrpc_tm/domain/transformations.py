"""Making a transformation, alone or from a parent, and cleaning one."""

from collections.abc import Collection, Mapping
from typing import Any

from . import parameters, queries
from .transformation_log import note
from .transitions import files
from .transitions import transformations as transitions
from .work import Held, Work


async def refuse(work: Work, name: str, inherited_from: int | str) -> Held | None:
    """Refuse a new transformation that cannot be made; return the parent, held, None for none.

    :param inherited_from: the parent's id or name; 0 for none.
    :raises Forbidden: no right on the parent, or none to make it Completing.
    :raises NotFound: no such parent.
    :raises Conflict: the name is taken.
    """
    parent = None
    if inherited_from != 0:
        parent = await work.hold(inherited_from)
        transitions.authorize(work, "Completing")
    await parameters.refuse_taken(work, name)
    return parent


async def make(
    work: Work,
    values: Mapping[str, Any],
    parent: Held | None,
    asked: Mapping[str, Mapping[str, Any] | None],
    lfns: Collection[str],
) -> int:
    """Make a transformation and return its id.

    :param values: by column.
    :param parent: whose files it inherits.
    :param asked: its meta queries by type.
    :param lfns: its files.
    :raises InvalidState: a status of the parent's files would become too long, or a plugin's rule forbids a change.
    """
    made = await transitions.create(work, values)
    for query_type, query in asked.items():
        if query:
            await queries.store(work, made, query, query_type)
    if parent is not None:
        await files.inherit(work, parent, made)
        await transitions.move(work, parent, "Completing", agent="Automatic")
        await note(work, parent, f"Creation of the derived transformation ({made.id})")
    await files.add_named(work, made, lfns)
    await note(work, made, f"Created transformation {made.id}")
    return made.id


async def clean(work: Work, trans: Held) -> None:
    """Take away a transformation's files, their history, its tasks and meta queries; logged.

    Files that no other transformation has are forgotten. Parameters and log stay; task numbers go on counting.
    """
    gone = await transitions.clear(work, trans)
    await note(work, trans, "Transformation Cleaned")
    counts = {"files": gone["TransformationFiles"], "tasks": gone["TransformationTasks"]}
    work.emit("transformation.cleaned", trans, **counts)
