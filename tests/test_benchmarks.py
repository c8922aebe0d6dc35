"""Every measurement runs to its end, and what got slower is told; the times are not looked at here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common import report, targets
from benchmarks.common.command import main
from benchmarks.common.measure import Row, Sample, row

ROOT = Path(__file__).resolve().parents[1]


def smoke(file, *words):
    main(["--smoke", "--json", str(file), *words])
    return json.loads(file.read_text())


def test_rows_are_measured_and_kept(tmp_path, capsys):
    file = tmp_path / "rows.json"
    found = smoke(file, "--storage", "sqlite", "addFilesToTransformation 10,000")
    rpc = found["addFilesToTransformation 10,000 · SQLite · TLS"]
    assert all(rpc[name] > 0 for name in ("rate", "ms", "cpu", "floor_ms", "floor_cpu", "ratio", "cpu_ratio"))
    assert rpc["beside"][1] >= rpc["beside"][0] > 0
    lines = [[word.strip() for word in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert ["addFilesToTransformation 10,000", "SQLite", "DIRAC's wire", "1"] in [line[1:5] for line in lines]
    # others stay when some are measured again
    more = smoke(file, "--against", str(file), "matching of files")
    assert more.keys() > found.keys()
    assert "of 0 rows that were there before" in capsys.readouterr().out


def test_names_choose_and_are_listed(capsys):
    main(["--list", "echo*", "bodies"])
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"calls", "bodies"}
    with pytest.raises(SystemExit, match="nothing is called 'eco'"):
        main(["eco"])


def sampled(*seconds, name="a"):
    base = [Sample(1, 10, 0.5, 0.5)] * len(seconds)
    return row(name, [Sample(s, 10, s, s, [s]) for s in seconds], base, storage="SQLite")


def test_a_row_is_the_median_of_ratios():
    made = sampled(2, 3, 10)
    assert (made.ms, made.rate, made.cpu, made.database) == (300, pytest.approx(10 / 3), 300_000, 300_000)
    assert (made.ratio, made.cpu_ratio, made.spread) == (3, 6, (4, 20))


def test_what_got_slower_is_told_beyond_the_noise(tmp_path):
    file = tmp_path / "rows.json"
    report.write(file, [sampled(2, 2.1, 2.2), sampled(1, 2, 3, name="b")])
    before = report.read(file)
    assert report.compared([sampled(3, 3, 3), sampled(4, 2.1, 1, name="b"), Row("new")], before, 0.15) == [
        "slower: a · SQLite: 4.2 → 6 × the floor's processor time (+43%)"
    ]
    assert report.compared([sampled(1, 1, 1)], before, 0.15)[0].startswith("faster: a · SQLite")
    # within the noise; and rounds as they were before
    assert report.compared([sampled(2.3, 2.3, 2.3)], before, 0.15)[0].startswith("nothing got slower")


def test_slower_rows_are_a_failure_when_asked(tmp_path):
    before = sampled(1e-6, name="addTasks of 1,000, 10 files each")
    before.wire = "TLS"
    file = tmp_path / "rows.json"
    report.write(file, [before])
    with pytest.raises(SystemExit) as ended:
        smoke(tmp_path / "new.json", "--fail", "--storage", "sqlite", "--against", str(file), "addTasks of 1,000*")
    assert ended.value.code == 1


def test_the_page_has_the_table(tmp_path):
    page = ROOT / "benchmarks" / "README.md"
    measured = page.read_text("utf-8").split(targets.BEGIN)[1].partition(targets.END)[0]
    lines = measured.partition(targets.HEAD)[2].splitlines()
    assert [line.split(" | ")[0] for line in lines[: len(targets.TARGETS)]] == [
        f"| {one.work}" for one in targets.TARGETS
    ]
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text("utf-8"), "utf-8")
    one = sampled(2, 2, 2, name="echo")
    one.wire, one.callers = "TLS", 16
    file = tmp_path / "rows.json"
    report.write(file, [one])
    targets.renew(copy, report.read(file))
    assert "| echo, 16 callers | 664/s | ≤ 85 µs CPU | 5/s, 200,000 µs (×4) | 100,000 µs |" in copy.read_text("utf-8")
    assert copy.read_text("utf-8").partition(targets.END)[2] == page.read_text("utf-8").partition(targets.END)[2]


@pytest.mark.slow
@pytest.mark.mariadb
def test_all_of_them_run_and_fill_the_table(tmp_path):
    found = smoke(tmp_path / "rows.json", "--long")
    table = targets.table(found)
    compared = [one for one in found.values() if one["floor"] and "beside nothing" not in one["floor"]]
    assert len(compared) > 20
    assert [one for one in compared if not one["ratio"]] == []
    assert [line for line in table.splitlines()[2:] if line.split(" | ")[3] == ""] == []


@pytest.mark.slow
def test_two_checkouts_are_compared(tmp_path):
    words = [sys.executable, "-m", "benchmarks.pairs", str(ROOT), str(ROOT), "--rows", "50", "--rounds", "1"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "getTransformationFiles, 50 rows" in done.stdout
