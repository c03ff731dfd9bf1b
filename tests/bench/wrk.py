"""wrk, the client of all figures in requests a second: C, so that it takes little from what it measures."""
import json
import pathlib
import subprocess

from cluster import Failed

HERE = pathlib.Path(__file__).resolve().parent


def wrk(url, connections, seconds, arguments=(), headers=()):
    """What load.lua counted. One thread: one core is left to the server."""
    command = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "20s", "-s",
               str(HERE / "load.lua")]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, url, *(["--", *arguments] if arguments else [])], capture_output=True,
                          text=True, timeout=seconds + 60, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        raise Failed("wrk: exit %d\n%s%s" % (done.returncode, done.stdout, done.stderr))
    counted = json.loads(lines[-1])
    counted["per_s"] = counted["requests"] / counted["us"] * 1e6
    return counted
