"""Births, moves and deaths of transformations, files and tasks: the only writer of their status columns.

Whatever happens to a status happens here, for one row or for 100,000, set by set: plugins' rules are asked, the rows
written, the history kept, and the change told.
"""

from . import file_machine, files, tasks, transformations

__all__ = ["file_machine", "files", "tasks", "transformations"]
