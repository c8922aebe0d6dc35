"""Everything that is wrong, told at once instead of one at a time."""

from collections.abc import Callable
from typing import TypeVar

from .errors import ConfigurationError

T = TypeVar("T")
U = TypeVar("U")


class Problems:
    """Collects configuration errors.

    :param located: adds to a sentence where in the configuration its setting stands.
    """

    def __init__(self, located: Callable[[str], str] = str) -> None:
        self._located = located
        self.lines: list[str] = []

    def attempt(self, make: Callable[[], T], otherwise: U) -> T | U:
        """Return what *make* returns; note what it refuses, and return *otherwise* then."""
        try:
            return make()
        except ConfigurationError as error:
            self.note(str(error))
            return otherwise

    def note(self, text: str) -> None:
        """Note the problems of *text*, one a line."""
        for line in map(self._located, text.splitlines()):
            if line not in self.lines:
                self.lines.append(line)

    def tell(self) -> None:
        """Raise what was collected, if anything.

        :raises ConfigurationError: with a line for each problem.
        """
        if self.lines:
            raise ConfigurationError("\n".join(self.lines))
