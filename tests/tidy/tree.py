"""The files of the project, and a reader of C that is just good enough for the checks of this folder."""

import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


@functools.cache
def files():
    """Every file that is in git or would be: paths relative to the root, as text."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout.split("\n")
    return sorted(name for name in set(listed) if name and (ROOT / name).is_file())


def sources(*endings, below=""):
    return [name for name in files() if name.endswith(endings) and name.startswith(below)]


@functools.cache
def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@functools.cache
def code(name):
    """The text of a C file with comments and the insides of literals blanked; lines stay where they are."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] * 2 + " " * (len(found) - 2)
        return re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text(name))


def lines_with(name, pattern, where=code):
    """[(line number, line)] of the lines in which the pattern is found."""
    return [(number, line.strip()) for number, line in enumerate(where(name).split("\n"), 1)
            if re.search(pattern, line)]


def includes(name):
    """[(line number, '"x"' or '<x>')]"""
    found = re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<][^">]+[">])', text(name), re.M)
    return [(text(name).count("\n", 0, match.start()) + 1, match.group(1)) for match in found]


def functions(name):
    """[(name, first line, number of lines)]; relies on the layout that clang-format gives."""
    lines = code(name).split("\n")
    found = []
    for number, line in enumerate(lines):
        if line != "{" or number == 0:
            continue
        head = number - 1
        while head > 0 and lines[head][:1] in (" ", "\t"):
            head -= 1
        start = re.match(r"(\w+)\(", lines[head])
        if start is None:
            continue
        last = lines.index("}", number)
        found.append((start.group(1), head + 1, last - head + 1))
    return found
