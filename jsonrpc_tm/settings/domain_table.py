"""The settings of what happens to transformations, files and tasks."""

from ..core.fields import Texts
from .setting import Setting
from .types import Number, Pattern

DOMAIN_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "files.pattern",
        Pattern(),
        None,
        "Regular expression that the whole name of a file must match to become known to the server; null for any name. "
        "Known files keep theirs.",
        reload=True,
    ),
    Setting(
        "transformations.extendable_types",
        Texts(32),
        ["Simulation", "MCSimulation"],
        "Types of transformations that can be extended; case does not count.",
    ),
    Setting(
        "transformations.max_reset_count",
        Number(0),
        10,
        "A file that setFileStatus lets be Unused again becomes MaxReset when its ErrorCount is a multiple of this; 0: "
        "never.",
        reload=True,
    ),
    Setting(
        "transformations.strict_statuses",
        "boolean",
        False,
        "Whether DIRAC's own methods refuse moves that the state machines forbid.",
        reload=True,
    ),
    Setting(
        "bulk.keep",
        "seconds",
        90 * 86400,
        "How long bulk operations that have ended can be looked at and undone; 0: for ever.",
        reload=True,
    ),
    Setting("monitoring.task_states", Texts(16), [], "Task states that web summaries show beside the usual ones."),
    Setting("monitoring.file_states", Texts(32), [], "File states that web summaries show beside the usual ones."),
    Setting(
        "monitoring.given_up_statuses",
        Texts(32),
        ["MissingInFC"],
        "File statuses that do not count in PercentProcessed.",
    ),
)
