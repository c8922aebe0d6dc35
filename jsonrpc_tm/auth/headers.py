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
    getall = getattr(headers, "getall", None)  # aiohttp's headers are a multidict
    values = getall(name, []) if getall else [headers[name]] if name in headers else []
    if len(values) > 1:
        raise BadCredentials(f"The header {name} is there more than once")
    return values[0].strip() or None if values else None
