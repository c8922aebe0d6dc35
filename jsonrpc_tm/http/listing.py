"""The answer that is a list, written as its rows come."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aiohttp import HttpVersion11, web

from ..rpc.arrow import INSTALLED, Arrow
from ..rpc.attendance import Unattended
from ..rpc.listing import Form, Head, Lines, Members
from . import compression
from .limits import Share
from .sending import in_parts, watched

_FORMS: tuple[type[Lines] | type[Arrow], ...] = (Lines, Arrow)
_QUALITY = re.compile(r"q=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")
# what most clients say
_ANYTHING = ["*/*"]
_JSON = ("application/json", "application/*", "*/*")
# rows. What is shorter goes out as one piece: a stream begins later, and there are few at a time
_SHORT = 2000


class ListAnswer:
    """An outlet for rows (``rpc.listing.Outlet``).

    :param headers: of the answer.
    :param patience: seconds after which a client that takes nothing is given up; 0 for none.
    :param response: the answer, once it has begun.
    """

    def __init__(
        self, request: web.Request, form: Form, headers: Mapping[str, str], share: Share, patience: float
    ) -> None:
        self.id: Any = None
        self.reads = form.reads
        self.short = _SHORT if isinstance(form, Members) else 0
        self.waits = False
        self.response: web.StreamResponse | None = None
        self._request = request
        self._form = form
        self._headers = headers
        self._share = share
        self._patience = patience

    @property
    def begun(self) -> bool:
        """Whether something is out."""
        return self.response is not None

    async def send(self, head: Head, batches: AsyncIterator[list[Any]]) -> None:
        """Write all rows and their end; see ``Outlet``."""
        following = asyncio.create_task(self._next(head, batches))
        try:
            while text := await following:
                # reading goes on while the socket takes what was read
                following = asyncio.create_task(self._next(head, batches))
                await self._write(text)
        finally:
            following.cancel()
            # whatever became of it, there is nobody to tell
            await asyncio.gather(following, return_exceptions=True)
        await self._write(await asyncio.to_thread(self._form.end, head, self.id))

    async def _next(self, head: Head, batches: AsyncIterator[list[Any]]) -> bytes:
        """Return the text of the next rows, an empty one where there are no more."""
        async for batch in batches:
            return await asyncio.to_thread(self._form.rows, head, batch)
        return b""

    async def fail(self, error: Mapping[str, Any]) -> None:
        """Write an error as the last part, or end the connection; see ``Outlet``."""
        if self._request.transport is None or self._request.transport.is_closing():
            return  # and a thread may still be at work on the form
        text = self._form.error(error)
        if text is not None:
            with contextlib.suppress(Unattended):
                await self._write(text)
        else:
            # without the last chunk: no client takes a part for the whole
            self._request.transport.abort()

    async def _write(self, text: bytes) -> None:
        # what has begun is sent in any case
        self._share.answer(len(text), self.begun)
        try:
            with watched(self._request, self._patience):
                if self.response is None:
                    response = web.StreamResponse(headers={**self._headers, "Content-Type": self._form.media})
                    compression.enable(self._request, response)
                    await response.prepare(self._request)
                    self.response = response
                await in_parts(self.response.write, text)
        except ConnectionError:
            raise Unattended("The caller has gone") from None
        finally:
            self._share.release(len(text))


def list_answer(request: web.Request, headers: Mapping[str, str], share: Share, patience: float) -> ListAnswer | None:
    """Return the outlet for a list, see ``ListAnswer``; None where its end could not be told from a lost connection."""
    accepted = request.headers.getall("Accept", _ANYTHING)
    form = None if accepted == _ANYTHING else _asked(",".join(accepted))
    if form is None and request.version < HttpVersion11:
        return None
    return ListAnswer(request, (form or Members)(), headers, share, patience)


def _asked(accepted: str) -> Callable[[], Form] | None:
    """Return what makes the form of lists that a header Accept prefers to JSON; None where it prefers none."""
    accepted = accepted.lower()
    if Lines.media not in accepted and Arrow.media not in accepted:
        return None
    weights: dict[str, float] = {}
    for part in accepted.split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        weights[name] = min([_weight(one) for one in parameters if one.startswith("q=")], default=1.0)
    json = max(weights.get(name, 0.0) for name in _JSON)
    # who takes nothing but what is not installed is told so
    forms = [form for form in _FORMS if form is not Arrow or INSTALLED or not (json or weights.get(Lines.media))]
    best = max(forms, key=lambda form: weights.get(form.media, 0.0))
    return best if 0 < weights.get(best.media, 0.0) >= json else None


def _weight(parameter: str) -> float:
    return float(parameter[2:]) if _QUALITY.fullmatch(parameter) else 0.0
