"""What somebody who wrote a wrong name may have meant."""

import difflib
from collections.abc import Iterable


def closest(wrong: str, names: Iterable[str]) -> str | None:
    """Return the name closest to *wrong*; None where none is close."""
    return next(iter(difflib.get_close_matches(wrong, list(names), n=1, cutoff=0.6)), None)


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Return `` (did you mean …?)`` for the name closest to *wrong*, nothing where none is close."""
    candidates = list(names)
    # the last part first: a key at the wrong place is the commonest slip
    close = [name for name in candidates if name.rpartition(".")[2] == wrong.rpartition(".")[2]]
    meant = close[0] if close else closest(wrong, candidates)
    return f" (did you mean {meant}?)" if meant else ""
