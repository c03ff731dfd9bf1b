#!/usr/bin/python3
"""Writes sql.c and sql.h: each query file as a string, and the lists of migrations with checksums."""
import hashlib
import pathlib
import sys


def c_string(text):
    lines = text.split("\n")
    quoted = ['"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for line in lines]
    return "\n    ".join(quoted) or '""'


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(pathlib.Path(name) for name in sys.argv[2:])
    header = ["/* Made by schema/embed.py. */", "#pragma once", "#include <stddef.h>",
              "struct sql_migration {", "    unsigned version;", "    const char *name;",
              "    const char *checksum; /* SHA-256 of the file, hexadecimal */",
              "    const char *text;", "};",
              "extern const struct sql_migration sql_migrations[];",
              "extern const size_t sql_migration_count;",
              "/* Of the witness, which is a database of its own. */",
              "extern const struct sql_migration sql_witness_migrations[];",
              "extern const size_t sql_witness_migration_count;"]
    source = ['#include "sql.h"']
    lists = {"migrations": [], "witness": []}
    for path in files:
        text = path.read_text(encoding="utf-8")
        if path.parent.name in lists:
            checksum = hashlib.sha256(text.encode()).hexdigest()
            lists[path.parent.name].append('    { %d, "%s", "%s",\n    %s },' % (
                int(path.stem[:4]), path.stem[5:], checksum, c_string(text)))
        else:
            header.append("extern const char sql_%s[];" % path.stem)
            source.append("const char sql_%s[] =\n    %s;" % (path.stem, c_string(text)))
    for folder_name, prefix in (("migrations", "sql"), ("witness", "sql_witness")):
        found = lists[folder_name]
        source.append("const struct sql_migration %s_migrations[] = {\n%s\n    { 0, NULL, NULL, NULL }\n};"
                      % (prefix, "\n".join(found)))
        source.append("const size_t %s_migration_count = %d;" % (prefix, len(found)))
    (folder / "sql.h").write_text("\n".join(header) + "\n")
    (folder / "sql.c").write_text("\n".join(source) + "\n")


main()
