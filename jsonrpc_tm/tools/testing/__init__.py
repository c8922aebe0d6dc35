"""What test suites of other projects can use."""

from ...core import errors
from ..harness import Harness
from .configuration import configure

__all__ = ["Harness", "configure", "errors"]
