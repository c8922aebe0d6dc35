"""Python's warnings, where they are errors, stop nothing of ours."""

import subprocess
import sys

from tests.cli.processes import environment


def test_e10_where_warnings_are_errors_the_server_is_imported():
    program = (
        "import warnings\nbefore = list(warnings.filters)\nimport jsonrpc_tm.rpc.dispatch\n"
        "assert warnings.filters == before, 'more is silenced than one import'\n"
    )
    words = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
