"""Adds up what ctest wrote for each variant, with the end of what each failed test said; the last line is
'N passed, N failed, N skipped'."""

import pathlib
import sys
import xml.etree.ElementTree

TAIL = 40


def main():
    told = []
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        here = dict.fromkeys(total, 0)
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            state = {"run": "passed", "fail": "failed"}.get(case.get("status"), "skipped")
            here[state] += 1
            if state == "failed":
                said = (case.findtext("system-out") or "").strip().splitlines()
                told.append((f"{path.stem}: {case.get('name')}", said[-TAIL:]))
        print(f"{path.stem:8} " + ", ".join(f"{count} {state}" for state, count in here.items()))
        for state, count in here.items():
            total[state] += count
    for name, said in told:
        print(f"\n== failed: {name}", *said, sep="\n")
    for name, _ in told:
        print(f"failed: {name}")
    print(", ".join(f"{count} {state}" for state, count in total.items()))
    return 1 if total["failed"] or not total["passed"] else 0


sys.exit(main())
