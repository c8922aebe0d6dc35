"""The database's file: whose it is."""

import logging
import os
import stat
from pathlib import Path

logger = logging.getLogger(__name__)


def keep_private(path: Path) -> None:
    """Make the file, if it is not there, for its owner alone; SQLite gives the files beside it the same rights."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if os.stat(path).st_mode & stat.S_IROTH:
            logger.warning("everybody on this machine may read the database %s: `chmod o-r` it", path)
    except OSError:
        pass  # SQLite will say why
