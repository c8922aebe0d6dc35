"""The server's clock, and the form in which moments are stored."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Clock = Callable[[], datetime]
"""Returns the present moment, UTC, aware, whole seconds."""
# databases know no earlier one
_FIRST = datetime(1000, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the present moment, UTC, aware, whole seconds."""
    return _at(int(time.time()))


@lru_cache(1)
def _at(second: int) -> datetime:
    # most calls begin in the second of the one before
    return datetime.fromtimestamp(second, UTC)


@lru_cache(16)  # a call stores its own moment several times, and shares it with others
def stored(moment: datetime) -> str:
    """Return *moment* (aware) in the stored form, ``YYYY-MM-DD HH:MM:SS`` in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago(moment: datetime, seconds: float) -> str:
    """Return the moment that many seconds before *moment* (aware) in the stored form, the year 1000 at the earliest."""
    return stored(moment - timedelta(seconds=min(seconds, (moment - _FIRST).total_seconds())))


def answered(moment: datetime | str) -> str:
    """Return *moment* (aware, or in the stored form) in the form of answers, ``YYYY-MM-DDTHH:MM:SSZ``."""
    text = moment if isinstance(moment, str) else stored(moment)
    return f"{text.replace(' ', 'T')}Z"
