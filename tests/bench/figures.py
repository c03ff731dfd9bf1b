"""Rows, medians, the machine's load, what a process uses, the table and the file."""
import json
import os
import pathlib


def percentile(values, share):
    """Nearest rank; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values):
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class Row:
    """One figure. 'better' is +1 when more is better, -1 when less is; 'target' is DESIGN's figure, in the
    unit of the value or, where 'of' is "ratio", in times the reference."""

    def __init__(self, name, unit, value, n, reference=None, reference_name=None, target=None, of="value",
                 better=-1):
        self.name = name
        self.unit = unit
        self.value = value
        self.n = n
        self.reference = reference
        self.reference_name = reference_name
        self.target = target
        self.of = of
        self.better = better
        self.load = os.getloadavg()[0]

    def ratio(self):
        return self.value / self.reference if self.reference and self.value is not None else None

    def reached(self):
        """None when nothing was promised."""
        measured = self.ratio() if self.of == "ratio" else self.value
        if self.target is None or measured is None:
            return None
        return measured >= self.target if self.better > 0 else measured <= self.target

    def document(self):
        return {"name": self.name, "unit": self.unit, "value": rounded(self.value),
                "reference": rounded(self.reference), "reference_name": self.reference_name,
                "ratio": rounded(self.ratio()), "n": self.n, "load": round(self.load, 2),
                "target": self.target, "target_of": self.of if self.target is not None else None,
                "reached": self.reached()}


def rounded(value):
    return None if value is None else float("%.4g" % value)


def text_of(value):
    if value is None:
        return ""
    if value and abs(value) < 0.995:
        return "%.2g" % value
    return "{:,.0f}".format(value) if abs(value) >= 100 else "%.3g" % value


def target_of(row):
    if row.target is None:
        return ""
    sign = ">=" if row.better > 0 else "<="
    return "%s %s%s%s" % (sign, text_of(row.target), "x" if row.of == "ratio" else "",
                          "" if row.reached() else " missed")


COLUMNS = ["what", "unit", "Baton", "reference", "", "ratio", "to reach", "n", "load"]


def table(rows):
    cells = [[row.name, row.unit, text_of(row.value), text_of(row.reference), row.reference_name or "",
              text_of(row.ratio()), target_of(row), str(row.n), "%.1f" % row.load] for row in rows]
    widths = [max(len(line[i]) for line in [COLUMNS, *cells]) for i in range(len(COLUMNS))]
    right = {2, 3, 5, 7, 8}
    lines = []
    for line in [COLUMNS, ["-" * width for width in widths], *cells]:
        lines.append("  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    return "\n".join(lines)


def save(path, rows, about):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**about, "rows": [row.document() for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")


# ---- what processes use ----

def cpu_us(pids):
    """CPU time of all threads of the processes, in microseconds (the scheduler's own account)."""
    total = 0
    for pid in pids:
        for task in pathlib.Path("/proc/%d/task" % pid).glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except (OSError, IndexError):
                continue
    return total / 1000


def pss_kib(pids):
    """Memory of the processes: what they share is counted in shares."""
    total = 0
    for pid in pids:
        try:
            lines = pathlib.Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def tree(root):
    """The process and all below it, parents first."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
