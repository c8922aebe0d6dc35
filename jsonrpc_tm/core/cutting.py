"""What callers say is cut where it would fill logs and messages."""

SHOWN = 200
"""Characters of a caller's text in the server's log, audit lines and messages (SPEC 8.9)."""


def shortened(text: str, limit: int = SHOWN) -> str:
    """Return *text* as it is, or its beginning and ``...``, *limit* characters in all."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
