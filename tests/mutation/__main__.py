"""Mutation testing: changes the methods and storages, one place at a time, and asks whether a test notices.

``python -m tests.mutation [--sample N] [--seed N] [--report FILE] [PATH…]`` works on a copy of the project. The
whole lot takes hours; a sample of 200 half an hour. Survivors are printed with their change.
"""

import argparse
import random
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import MutationSpec, TestOutcome

from .operators import Provider

ROOT = Path(__file__).parents[2]
TARGETS = tuple(f"jsonrpc_tm/{part}" for part in ("domain", "methods", "storage", "catalog", "matching", "rpc"))
# what these tests do not run: MariaDB's own code
LEFT_OUT = ("mysql/*.py", "__init__.py", "base.py")
OPERATORS = (
    "core/NumberReplacer",
    "core/AddNot",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/ZeroIterationForLoop",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ReplaceBinaryOperator_Add_Sub",
    "core/ReplaceBinaryOperator_Sub_Add",
    "core/ReplaceBinaryOperator_Mul_Div",
    "core/ReplaceComparisonOperator_Eq_NotEq",
    "core/ReplaceComparisonOperator_NotEq_Eq",
    "core/ReplaceComparisonOperator_Lt_LtE",
    "core/ReplaceComparisonOperator_LtE_Lt",
    "core/ReplaceComparisonOperator_Gt_GtE",
    "core/ReplaceComparisonOperator_GtE_Gt",
    "core/ReplaceComparisonOperator_Is_IsNot",
    "core/ReplaceComparisonOperator_IsNot_Is",
    "sql/ChangeSQL",
)
TESTS = {
    "storage": "tests/storage tests/test_operations.py tests/tools/test_harness.py",
    "domain": "tests/domain tests/methods tests/test_completeness.py",
    "methods": "tests/methods tests/test_completeness.py tests/rpc/test_openrpc.py tests/core/test_fields.py",
    "rpc": "tests/rpc tests/methods",
    "matching": "tests/matching tests/catalog",
    "catalog": "tests/catalog tests/methods/test_catalog_admin.py",
}
"""Where a part is tested."""
# the scenarios first: they kill most, in two seconds
COMMAND = (
    "cd {copy} && {python} -m jsonrpc_tm.tools.replay tests/conformance"
    " && {python} -m pytest -x -q -p no:cacheprovider -m 'not mariadb and not slow' {tests}"
)
TIMEOUT = 600


def main() -> int:
    """Mutate, test, report; 0 when every mutant of the sample was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("paths", nargs="*", default=TARGETS, metavar="PATH")
    parser.add_argument("--sample", type=int, default=200, help="how many mutants [200]; 0 for all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample [1]")
    parser.add_argument("--report", type=Path, help="also write the survivors to this file")
    options = parser.parse_args()
    cosmic_ray.plugins.OPERATOR_PROVIDERS["sql"] = Provider()
    with tempfile.TemporaryDirectory(prefix="jsonrpc-tm-mutation-") as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.db"))
        mutants = list(_mutants(copy, options.paths))
        if options.sample and options.sample < len(mutants):
            mutants = random.Random(options.seed).sample(mutants, options.sample)
        return _run(copy, mutants, options.report)


def _mutants(copy: Path, paths: list[str]) -> Iterator[MutationSpec]:
    for path in paths:
        target = copy / path
        for file in sorted(target.rglob("*.py")) if target.is_dir() else [target]:
            if any(file.match(pattern) for pattern in LEFT_OUT):
                continue
            nodes = list(ast_nodes(get_ast_from_path(file)))
            for name in OPERATORS:
                operator = cosmic_ray.plugins.get_operator(name)()
                positions = [(node, place) for node in nodes for place in operator.mutation_positions(node)]
                for occurrence, (_, (start, end)) in enumerate(positions):
                    yield MutationSpec(
                        module_path=file, operator_name=name, occurrence=occurrence, start_pos=start, end_pos=end
                    )


def _run(copy: Path, mutants: list[MutationSpec], report: Path | None) -> int:
    counts: Counter[str] = Counter()
    survivors = []
    for number, mutant in enumerate(mutants, 1):
        part = mutant.module_path.relative_to(copy / "jsonrpc_tm").parts[0]
        command = COMMAND.format(copy=copy, python=sys.executable, tests=TESTS[part])
        result = mutate_and_test([mutant], f"sh -c {shlex.quote(command)}", TIMEOUT)
        outcome = result.test_outcome or TestOutcome.INCOMPETENT
        counts[outcome.value] += 1
        if outcome is not TestOutcome.KILLED:
            change = [line for line in (result.diff or result.output or "").splitlines() if line[:1] in "+-@"]
            survivors.append(
                f"{mutant.module_path.relative_to(copy)} ({mutant.operator_name})\n" + "\n".join(change[1:])
            )
            print(survivors[-1], flush=True)
        if sys.stderr.isatty() or number % 10 == 0:
            print(f"{number}/{len(mutants)}: {dict(counts)}", file=sys.stderr, flush=True)
    killed = counts[TestOutcome.KILLED.value]
    summary = f"{len(mutants)} mutants, {killed} killed ({killed / max(len(mutants), 1):.1%})"
    print(summary)
    if report is not None:
        report.write_text("\n\n".join([summary, *survivors]) + "\n")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
