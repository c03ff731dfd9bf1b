"""The checker of histories: it takes what a single copy might have said, and refuses what none can have.

Its verdict is compared with that of the plainest checker there is, which tries every order.
"""
import itertools
import json
import pathlib
import random
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from check import Broken, check, is_write  # noqa: E402

CHECK = pathlib.Path(__file__).resolve().parent / "check.py"


def op(what, call, end, outcome="ok", **rest):
    return {"op": what, "key": "k", "value": None, "call": call, "return": end, "outcome": outcome, **rest}


def put(call, end, value, revision):
    return op("put", call, end, value=value, revision=revision)


def cas(call, end, value, expect, revision):
    return op("cas", call, end, value=value, expect=expect, revision=revision)


def get(call, end, value, revision):
    return op("get", call, end, value=value, revision=revision)


def unknown(call, value, **rest):
    return op("cas" if rest else "put", call, None, "unknown", value=value, **rest)


def stale(call, end, expect):
    return op("cas", call, end, "stale", value="never", expect=expect)


GOOD = {
    "one after the other": [put(0, 10, "a", 1), get(11, 20, "a", 1), cas(21, 30, "b", 1, 2), get(31, 40, "b", 2)],
    "before anything": [get(0, 10, None, 0), cas(11, 20, "a", 0, 5), stale(21, 30, 0)],
    "at once, in either order": [put(0, 100, "a", 2), put(0, 100, "b", 1), get(101, 110, "a", 2)],
    "a read beside the write": [put(0, 100, "a", 1), get(10, 20, None, 0), get(30, 40, "a", 1)],
    "an unknown write took effect late": [put(0, 10, "a", 1), unknown(11, "b"), get(20, 30, "a", 1), get(40, 50, "b", 2)],
    "an unknown write never did": [put(0, 10, "a", 1), unknown(11, "b"), get(20, 30, "a", 1)],
    "an unknown cas lost": [put(0, 10, "a", 1), unknown(11, "b", expect=1), cas(12, 20, "c", 1, 2), get(21, 30, "c", 2)],
    "a stale cas beside the write": [put(0, 10, "a", 1), cas(11, 50, "b", 1, 2), stale(20, 30, 1)],
    "keys of their own": [put(0, 10, "a", 1), dict(get(11, 20, None, 0), key="other")],
}
BROKEN = {
    "an acknowledged write is lost": [put(0, 10, "a", 1), put(11, 20, "b", 2), get(21, 30, "a", 1)],
    "it is there and then it is not": [put(0, 10, "a", 1), put(11, 100, "b", 2), get(20, 30, "b", 2), get(31, 40, "a", 1)],
    "an unknown write comes and goes": [put(0, 10, "a", 1), unknown(11, "b"), get(20, 30, "b", 2), get(31, 40, "a", 1)],
    "two win with the same If-Match": [put(0, 10, "a", 1), cas(11, 50, "b", 1, 2), cas(11, 50, "c", 1, 3)],
    "an unknown cas takes effect after another": [put(0, 10, "a", 1), unknown(11, "b", expect=1), cas(12, 20, "c", 1, 2),
                                                  get(21, 30, "b", 3)],
    "a cas is refused though nobody wrote": [put(0, 10, "a", 1), stale(11, 20, 1)],
    "nobody wrote what is read": [put(0, 10, "a", 1), get(11, 20, "x", 2)],
    "it is gone": [put(0, 10, "a", 1), get(11, 20, None, 0)],
    "it is read before it is written": [get(0, 10, "a", 1), put(11, 20, "a", 1)],
    "revisions count down": [put(0, 10, "a", 2), put(11, 20, "b", 1)],
    "two revisions of one write": [put(0, 10, "a", 1), get(11, 20, "a", 2)],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_a_single_copy_may_have_said_is_taken(name):
    assert check(GOOD[name])[0] == len(GOOD[name])


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_single_copy_can_have_said_is_refused(name):
    with pytest.raises(Broken) as told:
        check(BROKEN[name])
    assert "contradict" in str(told.value) and '"call"' in str(told.value)


def test_as_a_program_it_says_which_and_ends_with_1(tmp_path):
    for name, history in (("good", GOOD["before anything"]), ("broken", BROKEN["an acknowledged write is lost"])):
        (tmp_path / name).write_text("".join(json.dumps(one) + "\n" for one in history))
    done = subprocess.run([sys.executable, "-B", CHECK, tmp_path / "good", tmp_path / "broken"], capture_output=True,
                          text=True)
    assert done.returncode == 1, done.stderr
    assert "good: linearizable: 3 operations on 1 keys" in done.stdout
    assert "broken: not linearizable" in done.stdout and '"value": "b"' in done.stdout


# ---- against every order there is

def fits(order, taken):
    """A single copy answers so in this order; the unknown ones that are not in 'taken' never happened."""
    value, revision, last = None, 0, 0
    told = {one["value"]: one["revision"] for one in order if one["outcome"] == "ok" and one["value"] is not None}
    for one in order:
        if one["outcome"] == "unknown" and one["value"] not in taken:
            continue
        if one["op"] == "get" and (one["value"], one["revision"]) != (value, revision):
            return False
        if one["op"] == "cas" and (one["expect"] == revision) != (one["outcome"] != "stale"):
            return False
        if is_write(one):
            value, revision = one["value"], told.get(one["value"])
            if revision is not None and revision <= last:
                return False
            last = revision or last
    return True


def by_every_order(ops):
    optional = [one["value"] for one in ops if one["outcome"] == "unknown"]
    for order in itertools.permutations(ops):
        if any(late["return"] is not None and late["return"] < early["call"]
               for early, late in itertools.combinations(order, 2)):
            continue
        for count in range(len(optional) + 1):
            if any(fits(order, taken) for taken in itertools.combinations(optional, count)):
                return True
    return False


def any_history(rng):
    """Five operations that may well be one copy's, or nearly so."""
    ops, value, revision, now = [], None, 0, 0
    for number in range(5):
        call = max(0, now - rng.randrange(25))
        end = now + rng.randrange(1, 25)
        now += 10
        kind = rng.choice(["put", "cas", "get", "get", "stale", "unknown"])
        if kind == "get":
            ops.append(get(call, end, value, revision))
        elif kind == "stale":
            ops.append(stale(call, end, revision + rng.choice([-1, -1, -1, 0, 1])))
        else:
            new = "v%d" % number
            expect = {"expect": revision} if kind == "cas" or rng.random() < 0.5 else {}
            if kind == "unknown":
                ops.append(unknown(call, new, **expect))
            else:
                ops.append(op("cas" if expect else "put", call, end, value=new, revision=number + 1, **expect))
            if kind != "unknown" or rng.random() < 0.5:
                value, revision = new, number + 1
    if rng.random() < 0.5:  # one answer is another's
        one, other = rng.sample(ops, 2)
        if one["op"] == other["op"] == "get":
            one["value"], one["revision"], other["value"], other["revision"] = \
                other["value"], other["revision"], one["value"], one["revision"]
        else:
            one["call"], one["return"], other["call"], other["return"] = \
                other["call"], other["return"], one["call"], one["return"]
            for each in (one, other):
                if (each["outcome"] == "unknown") != (each["return"] is None):
                    each["return"] = None if each["outcome"] == "unknown" else 60
    return ops


def test_its_verdict_is_that_of_every_order():
    rng = random.Random(20261122)
    verdicts = []
    for _ in range(120):
        ops = any_history(rng)
        expected = by_every_order(ops)
        try:
            check(ops)
            found = True
        except Broken:
            found = False
        assert found == expected, ops
        verdicts.append(found)
    assert 20 < sum(verdicts) < 100, sum(verdicts)
