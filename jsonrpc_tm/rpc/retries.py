"""``Idempotency-Key``: what a call that changes something is remembered by (section 8.6 of the specification)."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, TypeVar

import orjson

from ..core.clock import ago
from ..core.context import Context
from ..core.errors import InvalidRequest
from ..storage.base import CallKey
from ..storage.keys import KeyInUse

T = TypeVar("T")
LONGEST = 255
"""Characters of a key."""
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds, at most, between looks at a key that is in use; then the caller is told."""
# a token, of any visible ASCII but the quote, or a string of structured fields (RFC 8941, section 3.3.3)
_FORM = re.compile(r"""([!#-~]+)|"((?:[ !#-\[\]-~]|\\["\\])+)\"""")
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def key_of(context: Context, name: str, params: Any, keep: float) -> CallKey:
    """Return what a call is remembered by.

    :param context: has the header as it came.
    :param params: of the method *name*, as they were sent; the order of members is none of it.
    :param keep: seconds that a result is kept; 0 for ever.
    :raises InvalidRequest: the header is no key.
    """
    found = _FORM.fullmatch(context.key or "")
    text = "" if found is None else found[1] or re.sub(r"\\(.)", r"\1", found[2])
    if not 0 < len(text) <= LONGEST:
        raise InvalidRequest(
            f"Invalid request: Idempotency-Key must be 1 to {LONGEST} visible ASCII characters, or a quoted string"
        )
    if context.entry is not None:
        text = f"{text}/{context.entry}"
    identity = context.identity
    oldest = ago(context.now, keep) if keep else ""
    whose = _digest([identity.username, identity.group, text])
    return CallKey(whose, _digest([name, params]), context.timestamp, oldest)


def _digest(value: Any) -> str:
    return blake2b(orjson.dumps(value, default=str, option=_OPTIONS), digest_size=16).hexdigest()


async def when_free(run: Callable[[], Awaitable[T]]) -> T:
    """Return what *run* returns; while its key is in use, wait a moment.

    :raises KeyInUse: it still is.
    """
    for pause in PAUSES:
        try:
            return await run()
        except KeyInUse:
            await asyncio.sleep(random.uniform(pause / 2, pause))
    return await run()
