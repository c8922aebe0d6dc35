"""The Makefile: what it calls is there, and its targets are made whatever files there are."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_scripts_it_calls_are_there():
    scripts = set(re.findall(r"\.ci/[\w-]+", MAKEFILE + (ROOT / ".ci" / "run").read_text()))
    assert scripts
    assert [script for script in sorted(scripts) if not os.access(ROOT / script, os.X_OK)] == []


def test_no_target_is_a_file():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    phony = set(" ".join(re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)).split())
    assert {"help", "demo", "run", "test", "bench", "fix"} <= targets
    assert targets == phony
