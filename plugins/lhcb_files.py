"""LHCb files: the states of files after LHCb's, a closed list of moves; what is not in it is refused.

Enable it in the configuration::

    lhcb_files:
      enabled: true

Against the default machine: a Processed file may be Removed or Moved and nothing else, a MaxReset one may be Unused
again, what is Problematic, ProbInFC, Removed or Moved stays so, and only Unused and Assigned files become Processed.
"""

from collections.abc import Iterable

from jsonrpc_tm.api import Setting, Settings, StateMachine, StatusMove, hookimpl

JSONRPC_TM_API = 1
SECTION = "lhcb_files"
_GONE = ("Removed", "Moved")
_WAITING = ("Unused", "NotProcessed", "MissingInFC")
_INHERITED = ("Unused-inherited", "Assigned-inherited", "MaxReset-inherited")

FILES = StateMachine(
    "file",
    [
        StatusMove("Assigned", "Processed"),
        StatusMove("Assigned", "Unused", errors=1, instead="MaxReset"),
        StatusMove("Assigned", ("MaxReset", "Problematic", "NotProcessed", *_GONE), errors=1),
        StatusMove("Unused", ("Assigned", "Processed", "NotProcessed", "MissingInFC", "ProbInFC", "Problematic")),
        StatusMove((*_WAITING, "MaxReset"), ("Unused", *_GONE)),
        StatusMove(_INHERITED, ("Unused", "MaxReset", *_GONE)),
        StatusMove("Processed", _GONE),
        StatusMove("*", "*", allowed=False),
    ],
)


@hookimpl
def register_settings() -> Iterable[Setting]:
    """Provide the section ``lhcb_files``."""
    yield Setting(f"{SECTION}.enabled", "boolean", False, "Let files change their status as LHCb's do.")


@hookimpl
def register_state_machines(settings: Settings) -> Iterable[StateMachine]:
    """Replace the default machine of files."""
    if settings[f"{SECTION}.enabled"]:
        yield FILES
