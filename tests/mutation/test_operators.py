"""The mutations of SQL."""

import pytest

pytest.importorskip("cosmic_ray", reason="only `make mutate` installs cosmic-ray")

from cosmic_ray.mutating import mutate_code

from .operators import ChangeSQL


def mutants(code: str) -> list[str]:
    found = []
    while (mutant := mutate_code(code, ChangeSQL(), len(found))) is not None:
        found.append(mutant)
    return found


def test_each_word_of_a_statement_is_changed() -> None:
    assert mutants('"SELECT a FROM t WHERE b = :b AND c < 1"') == [
        '"SELECT a FROM t WHERE b = :b OR c < 1"',
        '"SELECT a FROM t WHERE b <> :b AND c < 1"',
        '"SELECT a FROM t WHERE b = :b AND c <= 1"',
        '"SELECT a FROM t WHERE b = :b AND c < 7"',
    ]


def test_pieces_of_f_strings_are_changed() -> None:
    assert mutants('f"SELECT {a} FROM {t} ORDER BY a, b DESC"') == [
        'f"SELECT {a} FROM {t} ORDER BY a, b "',
        'f"SELECT {a} FROM {t}"',
    ]
    assert mutants('f"{a}"') == []


def test_words_for_people_are_left_alone() -> None:
    assert mutants('"this AND that = 1"') == []
    assert mutants('def f():\n    """SELECT a FROM t WHERE b = 1"""\n') == []
