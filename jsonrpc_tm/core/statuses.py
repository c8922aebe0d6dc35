"""The words that mean something to the server; others are accepted everywhere (section 4 of the specification)."""

ACCEPTING_STATUSES = ("New", "Active", "Stopped", "Completing", "Flush")
"""Statuses of a transformation in which files are accepted through meta queries."""
STOPPING_STATUSES = ("Stopped", "Archived", "Cleaning", "Cleaned", "TransformationCleaned", "Deleted")
"""Statuses of a transformation in which nobody should work for it."""
ASSIGNABLE_STATUSES = ("Unused", "ProbInFC")
"""Statuses of a file that may go into a new task."""
ENDED_TASK_STATES = ("Canceled", "Completed", "Deleted", "Done", "Failed", "Killed")
"""States of a task whose job runs no more; in any other one it may still be at work on its files."""
TASK_STATES = (
    "Assigned",
    "Canceled",
    "Checking",
    "Completed",
    "Completing",
    "Deleted",
    "Done",
    "Failed",
    "Killed",
    "Matched",
    "Queued",
    "Received",
    "Rescheduled",
    "Reserved",
    "Running",
    "Scheduled",
    "Scouting",
    "Staging",
    "Stalled",
    "Submitted",
    "Submitting",
    "Waiting",
)
FILE_STATES = (
    "Unused",
    "Assigned",
    "Processed",
    "Problematic",
    "MaxReset",
    "MissingInFC",
    "ProbInFC",
    "Unused-inherited",
    "Assigned-inherited",
    "MaxReset-inherited",
    "Processed-inherited",
    "Moved",
)
