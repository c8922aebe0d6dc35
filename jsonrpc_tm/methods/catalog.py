"""What the file catalog tells the server: files appear, change and go (section 6.4 of the specification)."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ..core import fields
from ..core.errors import CatalogError, InvalidState, NotFound
from ..core.identity import MANAGEMENT, SHARING, USER
from ..core.model import Metadata
from ..domain import names, offers
from ..domain.active_queries import NOBODY, Compiled
from ..domain.offers import Offer
from ..domain.work import Work
from ..plugin.marker import hookimpl
from ..rpc import results
from ..rpc.chain import Outside
from ..rpc.method import Method, Read, Write
from .fields import FileDicts

logger = logging.getLogger(__name__)

CATALOG_MANAGEMENT = "FileCatalogManagement"
"""Property of those who may change the file catalog and what comes from it."""
SAYS_WHAT_IS_THERE = (MANAGEMENT, CATALOG_MANAGEMENT)
"""For methods that change everybody's transformations with what the caller says."""
ANNOUNCES = (*SAYS_WHAT_IS_THERE, SHARING, USER)
"""For methods that offer what the catalog says."""


async def _offer(outside: Outside, files: Mapping[str, Metadata]) -> Offer:
    """Find out which transformations want files, those aside whose names no new file may have."""
    refused = await unfit(outside, files)
    fit = {lfn: metadata for lfn, metadata in files.items() if lfn not in refused} if refused else files
    if not fit:
        return offers.offer({}, NOBODY, refused)
    return await offers.offer_beside(fit, await queries_of(outside), refused)


async def queries_of(outside: Outside) -> Compiled:
    """Return the Input queries of the transformations that accept files, compiled."""
    return await outside.queries.compiled(outside.read, await outside.catalog.fields())


async def unfit(outside: Outside, lfns: Iterable[str]) -> Mapping[str, str]:
    """Return the names that no new file may have, with the reason; the log tells how many."""
    if outside.settings["files.pattern"] is None:
        return {}
    found = await outside.read(names.unfit, lfns)
    if found:
        logger.warning(
            "%d file(s) are left out because of their names, such as %.200r: see files.pattern",
            len(found),
            next(iter(found)),
            extra={"request_id": outside.context.request_id, "user": outside.context.author},
        )
    return found


async def known(outside: Outside, said: Mapping[str, Metadata]) -> Mapping[str, Metadata]:
    """Return the files that the catalog knows, in the given order, with their metadata.

    :param said: what the caller says of each, which counts where the catalog believes it.
    """
    if not said or outside.catalog.believes_announcements:
        return said
    known = await outside.catalog.files(list(said))
    return {lfn: known[lfn] for lfn in said if lfn in known}


async def announced(outside: Outside, fileDicts: Mapping[str, Metadata]) -> Offer:
    """Look files up, and who wants them."""
    return await _offer(outside, await known(outside, fileDicts))


async def add_file(work: Work, offer: Offer, fileDicts: Mapping[str, Metadata], force: bool) -> dict[str, Any]:
    """Announce files: each one's metadata are looked up, and every accepting transformation that wants it gets it.

    True stands for a file that at least one transformation wants, also when it was there already. A file that was
    removed and is wanted becomes Unused again. Errors of single files are in the answer. Where the server has no
    catalog (``none``) every file is one, with the metadata that the object says; a name or a list says none.

    :raises CatalogError: the catalog failed.
    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    wanted = await offers.give(work, offer)
    return {
        "Successful": {lfn: lfn in wanted for lfn in offer.files},
        "Failed": {lfn: offer.refused.get(lfn, f"no such file: {lfn}") for lfn in fileDicts if lfn not in offer.files},
    }


async def directory_announced(outside: Outside, path: str) -> tuple[list[str], Offer]:
    """List a directory and look its files up, and who wants them."""
    if await outside.catalog.directory(path) is None:
        raise NotFound(f"There is no directory {path!r}", what="path")
    lfns = await outside.catalog.list_files(path)
    return lfns, await _offer(outside, await known(outside, {lfn: {} for lfn in lfns}))


async def add_directory(work: Work, prepared: tuple[list[str], Offer], path: str, force: bool) -> dict[str, Any]:
    """Announce every file directly in a directory, as addFile does; Added counts those that are wanted.

    :raises NotFound: the catalog has no such directory.
    :raises CatalogError: the catalog failed.
    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    lfns, offer = prepared
    wanted = await offers.give(work, offer)
    failed = [lfn for lfn in lfns if lfn not in offer.files]
    return {"Added": len(wanted), "Successful": list(offer.files), "Failed": failed}


async def overlaid(outside: Outside, path: str, querydict: Metadata) -> Offer:
    """Look up a file, or all files below a directory, with *querydict* in place of their own metadata."""
    files = await known(outside, {path: {}})
    if not files:
        if await outside.catalog.directory(path) is None:
            raise NotFound(f"There is no file or directory {path!r}", what="path")
        lfns = await outside.catalog.list_files(path, recursive=True)
        files = await known(outside, {lfn: {} for lfn in lfns})
    return await _offer(outside, {lfn: metadata | querydict for lfn, metadata in files.items()})


async def set_metadata(work: Work, offer: Offer, path: str, querydict: Metadata) -> None:
    """Announce a file, or all files at any depth below a directory, with *querydict* in place of their own metadata.

    The catalog itself is not changed. Where the server has none (``none``), any path is a file's.

    :raises NotFound: the catalog has no such file or directory.
    :raises CatalogError: the catalog failed.
    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    await offers.give(work, offer)


async def exists(work: Work, lfns: list[str]) -> dict[str, Any]:
    """Tell which files are known to the server, removed ones included."""
    found = await offers.known(work, list(dict.fromkeys(lfns)))
    return {"Successful": {lfn: lfn in found for lfn in lfns}, "Failed": {}}


async def remove_file(work: Work, lfns: list[str]) -> dict[str, Any]:
    """Mark files as Deleted in every transformation that has them.

    :raises InvalidState: a plugin's rule forbids a change of status.
    """
    given = list(dict.fromkeys(lfns))
    found = await offers.remove(work, given)
    return {"Successful": {lfn: True if lfn in found else "File does not exist" for lfn in given}, "Failed": {}}


@hookimpl
def register_methods() -> Iterable[Method]:
    """Provide the methods."""
    force = fields.Boolean(load_default=False, metadata={"description": "accepted, has no effect"})
    path = fields.Text(empty=False, required=True, metadata={"description": "absolute path in the catalog"})
    lfns = results.listed(results.TEXT)
    yield Method(
        "addFile",
        add_file,
        {
            "fileDicts": FileDicts(
                required=True, metadata={"description": "an LFN, a list, or an object of metadata by LFN"}
            ),
            "force": force,
        },
        access=Write(),
        prepare=announced,
        rule=ANNOUNCES,
        errors=(CatalogError, InvalidState),
        result=results.by_file(results.BOOLEAN, "{lfn: whether a transformation wants it}"),
    )
    yield Method(
        "addDirectory",
        add_directory,
        {"path": path, "force": force},
        access=Write(),
        prepare=directory_announced,
        rule=ANNOUNCES,
        errors=(NotFound, CatalogError, InvalidState),
        result=results.members(
            "Added: the number of wanted files", Added=results.INTEGER, Successful=lfns, Failed=lfns
        ),
    )
    yield Method(
        "exists",
        exists,
        {"lfns": fields.Texts(required=True, metadata={"description": "names of files"})},
        access=Read(),
        result=results.by_file(results.BOOLEAN, "{lfn: whether it is known}"),
    )
    yield Method(
        "removeFile",
        remove_file,
        {
            "lfns": fields.Texts(
                keys=True, minimum=1, required=True, metadata={"description": "a list, or an object by LFN"}
            )
        },
        access=Write(),
        rule=SAYS_WHAT_IS_THERE,
        errors=(InvalidState,),
        result=results.by_file({"enum": [True, "File does not exist"]}, "{lfn: true or why not}"),
    )
    yield Method(
        "setMetadata",
        set_metadata,
        {
            "path": path,
            "querydict": fields.Object(
                required=True, metadata={"description": "metadata that the files count as having"}
            ),
        },
        access=Write(),
        prepare=overlaid,
        rule=SAYS_WHAT_IS_THERE,
        errors=(NotFound, CatalogError, InvalidState),
        result=results.NULL,
    )
