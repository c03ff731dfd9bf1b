"""docs/faults.md: every row of the fault matrix is shown by something that is there, and every round has its row."""
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
from rows import ROWS  # noqa: E402

ROW = re.compile(r"^\| (\d+) \| (.+?) \| (\d+) \| (.+?) \| (.+?) \|$", re.M)
TABLE = {int(number): (int(count), re.findall(r"`([a-z]+/[\w.]+(?:::\w+)?)`", tests))
         for number, _, count, tests, _ in ROW.findall((ROOT / "docs/faults.md").read_text())}


def test_there_are_24():
    assert list(TABLE) == list(range(1, 25))


@pytest.mark.parametrize("number", TABLE)
def test_what_a_row_names_is_there(number):
    assert TABLE[number][1]
    for reference in TABLE[number][1]:
        file, _, name = reference.partition("::")
        assert re.search(r"^(?:def )?%s\(" % name if name else "", (ROOT / "tests" / file).read_text(), re.M), reference


def test_every_round_is_in_the_row_that_it_says():
    told = {(number, reference.partition("::")[2]) for number, (_, tests) in TABLE.items() for reference in tests
            if reference.startswith("system/rows.py::")}
    assert told == {(row.number, row.name) for row in ROWS}
    for row in ROWS:
        assert row.count == TABLE[row.number][0], row.name
