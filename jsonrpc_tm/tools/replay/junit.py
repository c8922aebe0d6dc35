"""A replay's outcome as a JUnit XML file, the form that CI systems read."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from .run import ScenarioOutcome

# what XML 1.0 cannot hold, not even escaped
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: Path, outcomes: Iterable[ScenarioOutcome]) -> None:
    """Write a JUnit file: a suite for each scenario, a test case for each step.

    :raises OSError: the file cannot be written.
    """
    root = ElementTree.Element("testsuites")
    for outcome in outcomes:
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=outcome.scenario.name,
            tests=str(len(outcome.steps)),
            failures=str(len(outcome.failed)),
            skipped=str(sum(not done.expressed for done in outcome.steps)),
            errors="0",
            time=f"{sum(done.seconds for done in outcome.steps):.6f}",
        )
        for done in outcome.steps:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=outcome.scenario.name,
                name=_text(f"{done.step.number:03} {done.step.method}"),
                time=f"{done.seconds:.6f}",
            )
            if done.differences:
                failure = ElementTree.SubElement(case, "failure", message=_text(done.differences[0]))
                failure.text = _text("\n".join(done.differences))
            if not done.expressed:
                ElementTree.SubElement(case, "skipped", message="the wire cannot express this step")
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _text(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
