"""Runs fresh seeds of the simulator on every core, and sums up in the last line.

    run.py SIM COUNT [FIRST]     seeds FIRST .. FIRST + COUNT - 1; without FIRST from where chance says

What fails is printed as it comes, with its seed and how to see it again.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

CHUNK = 500
SEED_MAX = 2 ** 32 - 1
LINE = re.compile(
    r"seeds \d+ to \d+: ([\d.]+) simulated hours in ([\d.]+) s of CPU \(\d+ an hour\), (\d+) events, (\d+) faults, "
    r"(\d+) promotions, (\d+) takeovers by itself, (\d+) permissions to act, (\d+) effects and (\d+) refused, "
    r"(\d+) writes acknowledged, (\d+) of (\d+) calms unaided, (\d+) violations")


def run(program, first, count):
    """(what it said but for the sum, the numbers of the sum or None)"""
    done = subprocess.run([program, str(first), str(count)], capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip().splitlines()
    found = LINE.match(said[-1]) if said else None
    return "\n".join(said[:-1] if found else said), [float(number) for number in found.groups()] if found else None


def main():
    program, count = sys.argv[1], int(sys.argv[2])
    first = int(sys.argv[3]) if len(sys.argv) > 3 else \
        1 + int.from_bytes(os.urandom(4), "big") % (SEED_MAX - count)
    began = time.monotonic()
    total, crashed = [0.0] * LINE.groups, 0
    print(f"seeds {first} to {first + count - 1}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [pool.submit(run, program, at, min(CHUNK, first + count - at)) for at in range(first, first + count, CHUNK)]
        for part in concurrent.futures.as_completed(parts):
            said, numbers = part.result()
            if said:
                print(said, flush=True)
            crashed += numbers is None
            total = [a + b for a, b in zip(total, numbers or [0.0] * LINE.groups)]
    hours, cpu, events, faults, promotions, takeovers, permits, effects, refused, writes, unaided, calms, failed = total
    wall = time.monotonic() - began
    print(f"{count} seeds from {first}: {hours:.0f} simulated hours in {wall:.0f} s ({hours * 3600 / wall:.0f} an hour; "
          f"{hours * 3600 / max(cpu, 0.1):.0f} an hour of CPU), {events:.0f} events, {faults:.0f} faults, "
          f"{promotions:.0f} promotions, {takeovers:.0f} takeovers by itself, {permits:.0f} permissions to act, "
          f"{effects:.0f} effects and {refused:.0f} refused, {writes:.0f} writes acknowledged, "
          f"{unaided:.0f} of {calms:.0f} calms unaided, {failed + crashed:.0f} violations")
    return 1 if failed or crashed else 0


if __name__ == "__main__":
    sys.exit(main())
