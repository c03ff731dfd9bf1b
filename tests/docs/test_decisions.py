"""Pages of docs/decisions that promise more than prose: what they name is there."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAIR = ROOT / "docs/decisions/0018-what-sap-s-pair-does.md"
FACTS = ["S%d" % number for first, last in ((1, 15), (20, 29), (40, 58), (70, 71), (80, 90)) for number in range(first, last + 1)]


def rows():
    found = re.findall(r"^\| (S\d+) \| (.+?) \| (.+?) \| (.+?) \|$", PAIR.read_text(), re.M)
    return {fact: (there, here, re.findall(r"`([^`]+)`", tests)) for fact, there, here, tests in found}


def part(reference):
    """The text of the test, with its docstring or the comment above it; '' when there is none."""
    file, _, name = reference.partition("::")
    path = ROOT / "tests" / file
    if not path.is_file():
        return ""
    text = path.read_text()
    if name == "":
        return text
    pattern = r"^def %s\((?:.|\n)*?(?=^\S|\Z)" if file.endswith(".py") else \
        r"(?:^/\*(?:(?!\*/).|\n)*\*/\n)?^static void\n%s\((?:.|\n)*?^}"
    match = re.search(pattern % re.escape(name), text, re.M)
    return match.group(0) if match else ""


def test_every_fact_has_its_row():
    assert sorted(rows(), key=lambda fact: int(fact[1:])) == FACTS


@pytest.mark.parametrize("fact", FACTS)
def test_each_row_names_tests_that_name_it(fact):
    _, _, tests = rows()[fact]
    assert tests, "no test shows it"
    for reference in tests:
        assert part(reference), "there is no %s" % reference
        assert re.search(r"\b%s\b" % fact, part(reference)), "%s does not name %s" % (reference, fact)
