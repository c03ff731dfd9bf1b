#!/usr/bin/python3
"""The bench: a cluster of three nodes measured beside its peers and floors, on this machine, in one run.

    tests/bench/run.py [--quick] [--long] [--only NAME]... [--json FILE]

Takeovers by itself are measured in clusters of their own, with namespaces (so as root); --long adds those
that take longer, those of an etcd that loses its leader, and those of Patroni.
Prints a table and writes build/bench.json. Times are reported and never judged; wrong is what may not be
in any run: a client error in a planned switchover, an acknowledged write that is gone, an answer that
is none. Then it exits with 1.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psycopg2

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
import instances  # noqa: E402
import measures  # noqa: E402
import moves  # noqa: E402
import peer_patroni  # noqa: E402
import peers  # noqa: E402
import takeovers  # noqa: E402
import traffic  # noqa: E402
from cluster import BUILD, Cluster, Failed, logs  # noqa: E402
from figures import save, table  # noqa: E402
from floor import PROGRAMS, Nginx, Pair  # noqa: E402
from network import why_not  # noqa: E402

# In this order: what wants a quiet, young cluster comes first.
MEASURES = {
    "idle": measures.idle,
    "status": measures.status,
    "latency": measures.latency,
    "throughput": measures.throughput,
    "events": measures.events,
    "switchover": moves.switchover,
    "failover": moves.failover,
    "instances": instances.instances,
    "traffic": traffic.traffic,
}
# Each in a cluster of its own.
TAKEOVERS = {
    "takeover": takeovers.killed_default,
    "takeover-tightest": takeovers.killed_tightest,
    "etcd-killed": peers.etcd_killed,
}
LONG = {
    "takeover-etcd": takeovers.killed_etcd,
    "takeover-silent": takeovers.silent_default,
    "takeover-silent-tightest": takeovers.silent_tightest,
    "takeover-frozen": takeovers.frozen_default,
    "takeover-frozen-tightest": takeovers.frozen_tightest,
    "etcd-silent": peers.etcd_silent,
    "etcd-frozen": peers.etcd_frozen,
    "patroni-killed": peer_patroni.patroni_killed,
}
ALL = {**MEASURES, **TAKEOVERS, **LONG}


class Bench:
    def __init__(self, folder, options):
        self.folder = folder
        self.quick = options.quick
        self.long = options.long
        self.cluster = Cluster(folder / "nodes", name="bench")
        self.made = {}

    def size(self, full, quick, long=None):
        if self.quick:
            return quick
        return long if self.long and long is not None else full

    def pair(self):
        if "pair" not in self.made:
            self.made["pair"] = Pair(self.folder, self.cluster.primary(), self.cluster.run_as)
        return self.made["pair"]

    def nginx(self):
        if "nginx" not in self.made:
            node = self.cluster.primary()
            body = node.api("GET", "/v1/status").body
            self.made["nginx"] = Nginx(self.folder, node, body)
        return self.made["nginx"]

    def close(self):
        for made in self.made.values():
            made.close()
        self.made = {}
        self.cluster.close()


def missing():
    """Programs that the bench needs and that are not here."""
    wanted = ["wrk", "nginx", "haproxy", "setpriv"]
    found = [name for name in wanted if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    return found + ([] if PROGRAMS else ["postgres"])


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return {"cores": os.cpu_count(), "cpu": model, "kernel": os.uname().release}


def git_commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE,
                          check=False)
    return done.stdout.strip() or None


def measure(bench, names):
    """All rows, and what went wrong; a measure that fails does not take the others with it."""
    rows, wrong = [], []
    for name in names:
        start = time.monotonic()
        try:
            rows += ALL[name](bench)
            print("  %-24s %5.1f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
        except (AssertionError, OSError, KeyError, ValueError, psycopg2.Error,
                subprocess.SubprocessError) as problem:
            wrong.append("%s: %s: %s" % (name, type(problem).__name__, problem))
            print("  %-24s %5.1f s FAILED: %s" % (name, time.monotonic() - start, problem), file=sys.stderr,
                  flush=True)
    return rows, wrong


def chosen(options):
    """What is to be measured, in order; what cannot be here is told, and left out."""
    names = list(ALL if options.long else {**MEASURES, **TAKEOVERS})
    if options.quick:
        names.remove("traffic")  # it takes longest; --only names it
    if options.only:
        names = [name for name in ALL if name in options.only]
    reason = why_not() if any(name not in MEASURES for name in names) else ""
    if reason:
        print("bench: no takeovers are measured: %s" % reason, file=sys.stderr)
        names = [name for name in names if name in MEASURES]
    return names


def run(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-bench-"))
    folder.chmod(0o755)
    bench = Bench(folder, options)
    names = chosen(options)
    start = time.monotonic()
    print("bench: three nodes on two sites, k=1 (%s)" % folder, file=sys.stderr, flush=True)
    rows, wrong = [], []
    try:
        if any(name in MEASURES for name in names):
            bench.cluster.three()
            rows, wrong = measure(bench, [name for name in names if name in MEASURES])
            if wrong:
                logs(bench.cluster)
        bench.close()
        more = measure(bench, [name for name in names if name not in MEASURES])
        rows, wrong = rows + more[0], wrong + more[1]
    except Failed:
        logs(bench.cluster)
        raise
    finally:
        bench.close()
        if os.environ.get("BATON_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)
    about = {"commit": git_commit(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "quick": options.quick,
             "seconds": round(time.monotonic() - start, 1), "machine": machine(), "wrong": wrong}
    save(options.json, rows, about)
    print("\n%s\n" % table(rows))
    print("%d cores, %s, commit %s, %.0f s; load is the machine's when the row was made; all on loopback"
          % (about["machine"]["cores"], about["machine"]["cpu"], about["commit"], about["seconds"]))
    print("rows: %s" % options.json)
    for text in wrong:
        print("bench: WRONG: %s" % text, file=sys.stderr)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="Measures Baton beside its peers and floors.")
    parser.add_argument("--quick", action="store_true", help="few of each: proves that the bench runs")
    parser.add_argument("--long", action="store_true", help="all takeovers, and more of each")
    parser.add_argument("--only", action="append", choices=sorted(ALL), help="only this measure; repeatable")
    parser.add_argument("--json", default=str(pathlib.Path(os.environ.get("BUILD", BUILD)) / "bench.json"),
                        help="where the rows go")
    options = parser.parse_args()
    absent = missing()
    if absent:
        print("bench: not installed: %s; `make deps` installs what Debian has" % ", ".join(absent), file=sys.stderr)
        return 1
    moves.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(options)
    except Failed as problem:
        print("bench: %s" % problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
