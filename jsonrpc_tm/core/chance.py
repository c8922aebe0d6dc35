"""Chance for pauses, so that processes do not all do the same at the same moment."""

import random

# not the module's own: its state is everybody's, and tests watch it
_CHANCE = random.SystemRandom()


def about(seconds: float) -> float:
    """Return a pause of half to one and a half times *seconds*."""
    return seconds * _CHANCE.uniform(0.5, 1.5)
