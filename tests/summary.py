"""Adds up what ctest wrote for each variant; the last line is 'N passed, N failed, N skipped'."""

import pathlib
import sys
import xml.etree.ElementTree


def main():
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        here = dict.fromkeys(total, 0)
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            state = {"run": "passed", "fail": "failed"}.get(case.get("status"), "skipped")
            here[state] += 1
            if state == "failed":
                print(f"failed: {path.stem}: {case.get('name')}")
        print(f"{path.stem:8} " + ", ".join(f"{count} {state}" for state, count in here.items()))
        for state, count in here.items():
            total[state] += count
    print(", ".join(f"{count} {state}" for state, count in total.items()))
    return 1 if total["failed"] or not total["passed"] else 0


sys.exit(main())
