"""docs/model/lease.pml, run by spin: what holds, and what it has to find when one rule is broken."""
import os
import pathlib
import re
import subprocess

import pytest

MODEL = pathlib.Path(__file__).resolve().parents[2] / "docs/model/lease.pml"
COMPILER = os.environ.get("CC", "cc")

# What may happen, how often.
TWICE = ("PROMOTIONS=2", "EARLY=1")
KILLED = ("CRASHES=1", "RESUMES=1", "EARLY=1")
ALONE = ("WORDS=1", "RESUMES=1", "EARLY=1")
FORGETS = ("WORDS=1", "RESUMES=1", "CRASHES=1")
PUT_BACK = ("RESTORES=1", "RESUMES=1")

BREAKS = [(TWICE, "M_NOGUARD"), (TWICE, "M_NOWAIT"), (TWICE, "M_RECEIVED"), (TWICE, "M_UNCLEAR"), (TWICE, "M_WAKE"),
          (TWICE, "M_EARLYRELEASE"), (KILLED, "M_NOGRANT"), (KILLED, "M_NOPROOF"), (ALONE, "M_NOWORD"), (ALONE, "M_ANYWORD"),
          (ALONE, "M_WORDRECEIVED"), (FORGETS, "M_NOSTARTWORD"), (PUT_BACK, "M_REGRANT"), (PUT_BACK, "M_LATERELEASE"),
          (PUT_BACK, "M_STALEWANT"), (PUT_BACK, "M_OLDWAIT")]
DENIED = [(TWICE, "R_BOTH"), (TWICE, "R_AT_ONCE")]


def spin(folder, names, level="-O0"):
    """Errors and states, the search being complete when there is no error."""
    subprocess.run(["spin", "-a", *("-D" + name for name in names), MODEL], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([COMPILER, "-w", level, "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-DMEMLIM=1000", "-o", "pan", "pan.c"],
                   cwd=folder, check=True)
    told = subprocess.run(["./pan", "-m100000"], cwd=folder, check=True, capture_output=True, text=True).stdout
    errors = int(re.search(r"errors: (\d+)", told).group(1))
    assert errors or not re.search("max search depth too small|reached -DMEMLIM|Search not completed", told), told
    return errors, int(re.search(r"(\d+) states, stored", told).group(1))


@pytest.mark.parametrize("bounds", [TWICE, KILLED, ALONE, FORGETS, PUT_BACK], ids="-".join)
def test_never_two_act(tmp_path, bounds):
    errors, states = spin(tmp_path, bounds, "-O1")
    print(states, "states")
    assert not errors, "spin -t -p -g -D%s %s, beside the trail of %s" % (" -D".join(bounds), MODEL, tmp_path)
    assert states > 100000


@pytest.mark.parametrize("bounds, name", BREAKS + DENIED, ids=lambda value: value if isinstance(value, str) else "")
def test_it_is_found(tmp_path, bounds, name):
    assert spin(tmp_path, (*bounds, name))[0]


def test_each_switch_of_the_model_is_tried():
    there = set(re.findall(r"\b[MR]_[A-Z_]+\b", MODEL.read_text()))
    assert there == {name for _, name in BREAKS + DENIED}
    told = (MODEL.parent / "README.md").read_text()
    assert sorted(there) == sorted(set(re.findall(r"`([MR]_[A-Z_]+)`", told)))
