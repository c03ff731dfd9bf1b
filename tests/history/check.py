#!/usr/bin/python3
"""Is a recorded history of the shared configuration linearizable? Decided by z3, which is not ours.

    check.py FILE...     exit 0: all are; 1: one is not, and these operations contradict each other

A line of a history is one operation of one client on one key, as JSON:

    op        put (whatever is there), cas (If-Match), get
    key       operations on different keys have nothing to do with each other
    value     written, or read; null: the key does not exist. No value is written twice
    expect    cas: the revision that the key must have, 0: must not exist
    outcome   ok; stale: a cas was refused because the key is at another revision; unknown: of a write, it may
              take effect at any time from its call on, or never. What was surely not done is no operation
    revision  ok: of the entry written or read, 0 for none
    call, return    times of one clock; return is null where the outcome is unknown

Each operation gets a moment between its call and its return, and z3 looks for moments at which every answer
is what a single copy would have said. Its yes is not believed: the operations are replayed at these moments.
Its no names operations that cannot be reconciled. See docs/decisions/0020-who-checks-histories.md.
"""
import json
import re
import subprocess
import sys
from fractions import Fraction

Z3_SECONDS = 120


class Broken(Exception):
    """Not linearizable; the text says which operations contradict each other."""


def load(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def is_write(op):
    return op["op"] != "get" and op["outcome"] != "stale"


def ends_before(one, other):
    return one["return"] is not None and one["return"] < other["call"]


def bounds(op):
    """Of its moment, in halves: what ends and what begins at the same time may be in either order."""
    return 2 * op["call"] + 1, None if op["return"] is None else 2 * op["return"] + 3


class Key:
    """The operations on one key, as SMT-LIB: t3 is the moment of operation 3, e3 whether it took effect."""

    def __init__(self, ops):
        self.ops = ops
        self.writes = [number for number, op in enumerate(ops) if is_write(op)]
        self.by_value = {}
        for number in self.writes:
            if self.by_value.setdefault(json.dumps(ops[number]["value"]), number) != number:
                raise ValueError("the value of %r was written twice" % ops[number])
        self.revisions = {}  # of each write whose revision anybody was told
        for op in ops:
            writer = self.by_value.get(json.dumps(op["value"])) if op["value"] is not None else None
            if op["outcome"] == "ok" and writer is not None:
                self.revisions.setdefault(writer, op["revision"])
        self.order = sorted(self.revisions, key=self.revisions.get)
        self.by_revision = {revision: number for number, revision in self.revisions.items()}

    def _rivals(self, writer, reader):
        """Writes that may hide what 'writer' wrote (None: nothing was ever written) from 'reader'. Of those
        whose revision is known the next is enough, for all of these have one order."""
        after = self.order.index(writer) + 1 if writer in self.revisions else 0
        known = [number for number in self.order[after:after + 1] if number != reader]
        return known + [number for number in self.writes if number not in self.revisions and number not in (writer, reader)
                        and not ends_before(self.ops[reader], self.ops[number])]

    def _is_state(self, writer, reader):
        """What 'writer' wrote is there just before 'reader'."""
        terms = [] if writer is None else ["e%d" % writer, "(< t%d t%d)" % (writer, reader)]
        for rival in self._rivals(writer, reader):
            before = "false" if writer is None else "(< t%d t%d)" % (rival, writer)
            terms.append("(or (not e%d) %s (< t%d t%d))" % (rival, before, reader, rival))
        return "(and true %s)" % " ".join(terms)

    def _is_not_state(self, writer, reader):
        """The contrary, in words that stay true however moments that are the same are told apart."""
        terms = [] if writer is None else ["(not e%d)" % writer, "(< t%d t%d)" % (reader, writer)]
        for rival in self._rivals(writer, reader):
            after = "true" if writer is None else "(< t%d t%d)" % (writer, rival)
            terms.append("(and e%d %s (< t%d t%d))" % (rival, after, rival, reader))
        return "(or false %s)" % " ".join(terms)

    def _holds(self, number):
        op = self.ops[number]
        if op["outcome"] == "ok" and is_write(op) and op["revision"] != self.revisions[number]:
            return "false"  # who read it was told of another revision
        if op["op"] == "put":
            return "true"
        if op["op"] == "get":
            if op["value"] is None:
                return self._is_state(None, number)
            writer = self.by_value.get(json.dumps(op["value"]))
            if writer is None or self.revisions[writer] != op["revision"]:
                return "false"  # nobody wrote it, or not at this revision
            return self._is_state(writer, number)
        compare = self._is_not_state if op["outcome"] == "stale" else self._is_state
        if op["expect"] != 0 and op["expect"] not in self.by_revision:
            return "true" if op["outcome"] == "stale" else "false"  # nobody was told of such a revision
        return compare(self.by_revision.get(op["expect"]), number)

    def formula(self):
        lines = ["(set-option :produce-unsat-cores true)", "(set-option :produce-models true)"]
        lines += ["(declare-const t%d Real) (declare-const e%d Bool)" % (number, number) for number in range(len(self.ops))]
        for number, op in enumerate(self.ops):
            begin, end = bounds(op)
            terms = ["(< %d t%d)" % (begin, number)]
            if end is not None:
                terms.append("(< t%d %d)" % (number, end))
            if op["outcome"] != "unknown" or number in self.revisions:
                terms.append("e%d" % number)
            terms.append("(=> e%d %s)" % (number, self._holds(number)))
            lines.append("(assert (! (and %s) :named o%d))" % (" ".join(terms), number))
        for one, other in zip(self.order, self.order[1:]):  # revisions count up
            lines.append("(assert (! (< t%d t%d) :named r%d_%d))" % (one, other, one, other))
        return "\n".join(lines)


def run_z3(text, ask):
    done = subprocess.run(["z3", "-in", "-T:%d" % Z3_SECONDS], input="%s\n(check-sat)\n(%s)\n" % (text, ask),
                          capture_output=True, text=True)
    verdict, _, rest = done.stdout.partition("\n")
    if verdict not in ("sat", "unsat"):
        raise RuntimeError("z3 has no answer: %s%s" % (done.stdout[:500], done.stderr[:500]))
    return verdict == "sat", rest


def replay(key, told):
    """Raises Broken unless a single copy says at z3's moments what was answered."""
    ops = key.ops
    moments = {int(number): Fraction(above) / Fraction(below or 1) for number, above, below in
               re.findall(r"\(t(\d+) \(?(?:/ )?([\d.]+)(?: ([\d.]+)\))?\)", told)}
    effects = {int(number): text == "true" for number, text in re.findall(r"\(e(\d+) (true|false)\)", told)}
    assert len(moments) == len(effects) == len(ops), "z3's answer was not understood"
    value, revision, last = None, 0, 0
    for number in sorted(moments, key=moments.get):
        op = ops[number]
        begin, end = bounds(op)
        right = begin < moments[number] and (end is None or moments[number] < end)
        if not effects[number]:
            right &= op["outcome"] == "unknown"
        elif op["op"] == "get":
            right &= (op["value"], op["revision"]) == (value, revision)
        elif op["op"] == "cas":
            right &= (op["expect"] == revision) == (op["outcome"] != "stale")
        if effects[number] and is_write(op):
            value, revision = op["value"], key.revisions.get(number)  # None: nobody was told, so nobody asks for it
            right &= revision is None or last < revision == op.get("revision", revision)
            last = revision or last
        if not right:
            raise Broken("replay: %r does not fit" % op)


def check_key(ops):
    key = Key(ops)
    text = key.formula()
    is_so, told = run_z3(text, "get-value (%s)" % " ".join("t%d e%d" % (i, i) for i in range(len(ops))))
    if is_so:
        replay(key, told)
        return
    core = set(re.findall(r"\d+", run_z3(text, "get-unsat-core")[1]))
    raise Broken("not linearizable; these contradict each other:\n%s" %
                 "\n".join(json.dumps(ops[int(number)]) for number in sorted(core, key=int)))


def check(ops):
    """Raises Broken; returns how many operations there were on how many keys."""
    keys = {}
    for op in ops:
        keys.setdefault(op["key"], []).append(op)
    for of_key in keys.values():
        check_key(sorted(of_key, key=lambda op: op["call"]))
    return len(ops), len(keys)


def main():
    code = 0
    for path in sys.argv[1:]:
        try:
            print("%s: linearizable: %d operations on %d keys" % (path, *check(load(path))))
        except Broken as problem:
            print("%s: %s" % (path, problem))
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
