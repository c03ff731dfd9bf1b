"""The fault matrix at its full counts, for hours: `make torture`. Ends with a table, and with 1 when a round failed.

    TORTURE_ROUNDS=20    at most so many rounds of each row; without it as many as docs/faults.md says
    TORTURE_ROWS=1,19    these rows alone, by number, or by the name of a round
    TORTURE_SEED=7       the first round's seed; the n-th round of a row has seed + n - 1, so it can be had again
    TORTURE_RTT_MS=40    round-trip time of the link to the west (10)

Interrupted, it ends with the table of what was done.

A round that failed leaves its logs and the clients' history in build/torture; the next one has new nodes.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from cluster import ROOT
from history import NotOneCopy
from matrix import World
from rows import ROWS

DOCUMENT = ROOT / "docs/faults.md"
KEPT = pathlib.Path(os.environ.get("BUILD", ROOT / "build")) / "torture"
ROUNDS = int(os.environ.get("TORTURE_ROUNDS", "1000000"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))
CHOSEN = set(filter(None, os.environ.get("TORTURE_ROWS", "").split(",")))


def chosen(number, name):
    return not CHOSEN or str(number) in CHOSEN or name in CHOSEN


def tests_beside():
    """[(number of the row, count, name, tests)] of docs/faults.md: tests of their own, with many cases each. Those of a row
    that stand in one file are steps of one story, and run together."""
    found = []
    for number, count, tests in re.findall(r"^\| (\d+) \| .+? \| (\d+) \| (.+?) \|", DOCUMENT.read_text(), re.M):
        files = {}
        for file, test in re.findall(r"`((?:system|schema)/test_\S+\.py)::(\w+)`", tests):
            files.setdefault(file, []).append(test)
        for file, named in files.items():
            name = named[0] if len(named) == 1 else pathlib.Path(file).stem
            found.append((int(number), max(1, int(count) // 10), name, ["tests/%s::%s" % (file, test) for test in named]))
    return found


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else None


class Sum:
    def __init__(self, number, name, limit_ms):
        self.number, self.name, self.limit_ms = number, name, limit_ms
        self.rounds = self.failed = self.lost = self.acknowledged = self.unknown = self.promotions = 0
        self.recovery_ms, self.healing_s = [], []

    def add(self, result):
        self.acknowledged += result["acknowledged"]
        self.unknown += result["unknown"]
        self.promotions += result["promotions"]
        self.recovery_ms.append(result["recovery_ms"])
        self.healing_s.append(result["healing_s"])

    def is_late(self):
        p99 = percentile(self.recovery_ms, 0.99)
        return self.limit_ms is not None and p99 is not None and p99 > self.limit_ms

    def line(self):
        def text(value, form="%.0f"):
            return "-" if value is None else form % value
        late = " (limit %d)" % self.limit_ms if self.is_late() else ""
        return "%3d  %-42s %6d %6d %6d %7d %7d %5d %9s %9s %9s%s" % (
            self.number, self.name[:42], self.rounds, self.failed, self.lost, self.acknowledged, self.unknown,
            self.promotions, text(percentile(self.recovery_ms, 0.5)), text(percentile(self.recovery_ms, 0.99)),
            text(percentile(self.healing_s, 0.99), "%.1f"), late)


HEAD = "row  %-42s %6s %6s %6s %7s %7s %5s %9s %9s %9s" % (
    "round", "rounds", "failed", "losses", "acked", "unknown", "prom.", "p50 ms", "p99 ms", "alike s")


class Torture:
    def __init__(self):
        self.sums = []
        self.world = self.folder = None

    def _open(self):
        if self.world is None:
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-torture-"))
            self.folder.chmod(0o755)
            self.world = World(self.folder)
        return self.world

    def close(self, keep_as=None):
        if self.world is not None and keep_as is not None:
            place = KEPT / keep_as
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            for path in [*self.folder.glob("three/*.log"), *self.folder.glob("three/*.jsonl"), self.folder / "acted"]:
                shutil.copy(path, place)
        if self.world is not None:
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.world = None

    def _round(self, sum_of, row, seed):
        began = time.monotonic()
        sum_of.rounds += 1
        try:
            result = self._open().round(row, seed)
        except Exception as problem:  # whatever it is: the round failed, and the next one begins anew
            sum_of.failed += 1
            sum_of.lost += isinstance(problem, NotOneCopy)
            print("FAILED %s seed %d: %s\n%s" % (row.name, seed, problem, traceback.format_exc()), flush=True)
            try:
                self.close("%s-%d" % (row.name, seed))
            except Exception:  # what is left of a world that failed
                traceback.print_exc()
                self.world = None
            return
        sum_of.add(result)
        print("%s seed %d: longest outage %.0f ms, alike after %.1f s, %d promotions, %d acknowledged, %d unknown; %.0f s" %
              (row.name, seed, result["recovery_ms"], result["healing_s"], result["promotions"], result["acknowledged"],
               result["unknown"], time.monotonic() - began), flush=True)

    def run(self):
        for row in ROWS:
            if chosen(row.number, row.name):
                self.sums.append(Sum(row.number, row.name, row.limit_ms))
                for number in range(min(row.count, ROUNDS)):
                    self._round(self.sums[-1], row, SEED + number)
        self.close()
        for number, count, name, tests in tests_beside():
            if chosen(number, name):
                self.sums.append(Sum(number, name, None))
                for _ in range(min(count, ROUNDS)):
                    self._test(self.sums[-1], tests)

    def _test(self, sum_of, tests):
        """With all of its module: the tests of one go on from one another."""
        sum_of.rounds += 1
        modules = sorted({test.split("::")[0] for test in tests})
        done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", *modules],
                              cwd=ROOT, capture_output=True, text=True, env={**os.environ, "BATON_FAULTS": "all"})
        if done.returncode != 0:
            sum_of.failed += 1
            print("FAILED %s\n%s" % (" ".join(tests), done.stdout[-20000:]), flush=True)

    def table(self):
        print("\n" + HEAD)
        for one in sorted(self.sums, key=lambda one: one.number):
            print(one.line())
        failed = sum(one.failed for one in self.sums)
        late = sum(one.is_late() for one in self.sums)
        print("%d rounds, %d failed, %d losses, %d rows later than their limit, %d writes acknowledged" % (
            sum(one.rounds for one in self.sums), failed, sum(one.lost for one in self.sums), late,
            sum(one.acknowledged for one in self.sums)), flush=True)
        return 1 if failed or late else 0


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    for number in (signal.SIGINT, signal.SIGTERM):  # also where the shell has it ignored
        signal.signal(number, interrupted)
    torture = Torture()
    try:
        torture.run()
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        torture.close()
    return torture.table()


if __name__ == "__main__":
    sys.exit(main())
