"""The answer that is a list, written as its rows come."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aiohttp import web

from ..rpc.arrow import INSTALLED, Arrow
from ..rpc.attendance import Unattended
from ..rpc.listing import Form, Head, Lines
from . import compression
from .limits import Share
from .sending import PART, watched

_FORMS: tuple[type[Lines] | type[Arrow], ...] = (Lines, Arrow)
_QUALITY = re.compile(r"q=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")
_JSON = ("application/json", "application/*", "*/*")


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
        async for batch in batches:
            await self._write(await asyncio.to_thread(self._form.rows, head, batch))
        await self._write(await asyncio.to_thread(self._form.end, head, self.id))

    async def fail(self, error: Mapping[str, Any]) -> None:
        """Write an error as the last part; see ``Outlet``."""
        with contextlib.suppress(Unattended):
            await self._write(self._form.error(error))

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
                whole = memoryview(text)
                for start in range(0, len(whole), PART):
                    await self.response.write(whole[start : start + PART])
        except ConnectionError:
            raise Unattended("The caller has gone") from None
        finally:
            self._share.release(len(text))


def list_answer(request: web.Request, headers: Mapping[str, str], share: Share, patience: float) -> ListAnswer | None:
    """Return the outlet for a list that a request asks for in another form than JSON; see ``ListAnswer``."""
    form = _asked(",".join(request.headers.getall("Accept", ())))
    return None if form is None else ListAnswer(request, form(), headers, share, patience)


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
