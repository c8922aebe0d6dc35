"""Request headers that say who is calling."""

from collections.abc import Mapping

from ..core.errors import BadCredentials

GROUP = "X-TM-Group"
CERTIFICATE = "X-SSL-CERT"
VERIFIED = "X-SSL-CLIENT-VERIFY"
AUTHORIZATION = "Authorization"


def single(headers: Mapping[str, str], name: str) -> str | None:
    """Return the header *name*, None when it is absent or empty.

    :raises BadCredentials: it is there twice: whoever adds a header in front of the real one must gain nothing.
    """
    if name not in headers:
        return None
    getall = getattr(headers, "getall", None)  # aiohttp's headers are a multidict
    if getall is not None and len(getall(name)) > 1:
        raise BadCredentials(f"The header {name} is there more than once")
    return headers[name].strip() or None
