"""The house rules that a machine can check. A rule is loosened here, in the open, or not at all."""

import re
import shutil
import subprocess

import pytest
import tree


def none(wrong):
    """Fails with all that is wrong, a line each."""
    if wrong:
        pytest.fail("\n".join(["", *wrong]), pytrace=False)


# ---- the top level ----

TOP_LEVEL = set("CMakeLists.txt Makefile README.md LICENSE CHANGELOG.md schema sites replication controller "
                "tests docs".split())


def test_top_level_holds_nothing_else():
    names = {name.split("/")[0] for name in tree.files()}
    none(sorted(name for name in names if name not in TOP_LEVEL and not name.startswith(".")))


# ---- the arrow of includes: base <- sites <- replication <- the rest ----

# What each folder may include of ours. "sql.h" is made from schema/.
LAYERS = {
    "controller/base": [],
    "sites": ["controller/base"],
    "replication": ["controller/base", "sites", "sql.h"],
    "controller/loop": ["controller/base"],
    "controller/http": ["controller/base", "controller/loop"],
    "controller/arbiter": ["controller/base", "sites", "replication", "controller/loop", "sql.h"],
    "controller/activation": ["controller/base", "sites", "controller/loop", "sql.h"],
    "controller/postgres": ["controller/base", "sites", "replication", "controller/loop", "sql.h"],
    "controller/daemon": ["controller/base", "sites", "replication", "controller/loop", "controller/http",
                          "controller/arbiter", "controller/activation", "controller/postgres", "sql.h"],
    "controller/api": ["controller/base", "sites", "replication", "controller/loop", "controller/http",
                       "controller/activation", "controller/postgres", "controller/daemon", "sql.h"],
    "controller/cli": ["controller/base", "sites", "controller/loop", "controller/postgres"],
}

# Single files that may reach further, and why.
REACHES = {
    # main() wires the parts together
    "controller/daemon/batond.c": ["controller/api/api.h"],
    # init, join, doctor and offline repair work on a stopped node's own folder
    "controller/cli/run_setup.c": ["controller/daemon/setup.h", "controller/daemon/home.h"],
    "controller/cli/setup_words.h": ["controller/daemon/setup.h"],
    # a backup's file is read where no node is
    "controller/cli/run_backup.c": ["controller/daemon/setup.h", "controller/daemon/archive.h"],
    "controller/cli/run_witness.c": ["controller/daemon/witness.h"],
    # the gate runs beside a connector server, where no node is
    "controller/cli/run_gate.c": ["controller/daemon/gate.h"],
    # the agent of an instance is a process of its own
    "controller/cli/run_instance.c": ["controller/daemon/agent.h"],
    "controller/cli/offline.c": ["controller/daemon/home.h"],
    "controller/cli/connect.c": ["controller/daemon/home.h"],
}


def folder_of(name):
    return name.rsplit("/", 1)[0]


def product():
    return [name for name in tree.sources(".c", ".h") if not name.startswith("tests/")]


def test_every_folder_has_its_place_in_the_layers():
    none(sorted({folder_of(name) for name in product()} - set(LAYERS)))


def test_includes_point_one_way():
    wrong = []
    for name in product():
        here = folder_of(name)
        allowed = LAYERS[here] + [here]
        for line, quoted in tree.includes(name):
            target = quoted[1:-1]
            if quoted[0] == "<" or target in REACHES.get(name, []):
                continue
            if (folder_of(target) if "/" in target else target) not in allowed:
                wrong.append(f"{name}:{line}: {target}")
    none(wrong)


def test_a_source_includes_a_header_of_its_own_first():
    """So every header is compiled once with nothing before it; 'x_inner.h' is a header of x.c's own."""
    wrong = []
    for name in product():
        if name.endswith(".c") and name[:-2] + ".h" in tree.files():
            first = tree.includes(name)[0][1]
            if not first.startswith(f'"{name[:-2]}') and not first.startswith(f'"{folder_of(name)}/'):
                wrong.append(f"{name}: {first}")
    none(wrong)


# ---- what sees the outside world ----

PURE = set("string.h stdio.h stdbool.h stdint.h stdarg.h stddef.h stdlib.h inttypes.h limits.h "
           "arpa/inet.h json-c/json.h".split())
# stdio.h is there for snprintf() alone, arpa/inet.h for addresses as text.
IMPURE_CALLS = (r"\b(f?printf|fopen|fputs|puts|fwrite|fread|perror|getenv|system|popen|abort|exit|rand|srand|"
                r"time|clock|clock_now_ms|clock_now_us|clock_wall_ms|log_line|log_(error|warn|info|debug))\(")
IMPURE_BASE = {"controller/base/clock.h", "controller/base/log.h", "controller/base/file.h"}


def test_sites_does_no_io():
    wrong = []
    for name in tree.sources(".c", ".h", below="sites/"):
        for line, quoted in tree.includes(name):
            if quoted[1:-1] in IMPURE_BASE or (quoted[0] == "<" and quoted[1:-1] not in PURE):
                wrong.append(f"{name}:{line}: {quoted}")
        wrong += [f"{name}:{line}: {found}" for line, found in tree.lines_with(name, IMPURE_CALLS)]
        # state that outlives a call is state that the decision does not show
        wrong += [f"{name}:{line}: {found}" for line, found in
                  tree.lines_with(name, r"^\s*static (?!const\b|inline\b|_Thread_local\b)[^()]*(=|;)")
                  if "*const" not in found]
    none(wrong)


# Each library, and the folders in which it may be seen. A watcher lives inside the object that it
# serves, and results are read where they are wanted: so ev.h and libpq-fe.h reach further than the
# calls that open, wait and send.
LIBRARIES = {
    r"ev\.h": ["controller/loop", "controller/http", "controller/activation", "controller/arbiter",
               "controller/postgres", "controller/daemon", "controller/api"],
    r"libpq-fe\.h": ["controller/loop", "controller/arbiter", "controller/postgres", "replication", "controller/daemon",
                      "controller/api"],
    r"curl/.*": ["controller/loop"],
    r"openssl/ssl\.h": ["controller/loop", "controller/http", "controller/cli"],
    r"openssl/.*": ["controller/loop", "controller/http", "controller/cli", "controller/api", "controller/daemon"],
    r"sys/(socket|un|epoll|select)\.h|netdb\.h|netinet/.*": ["controller/loop", "controller/http"],
    r"http_parser\.h|llhttp\.h": ["controller/http"],
    r"pthread\.h|semaphore\.h|threads\.h": ["controller/loop", "controller/cli"],
    r"sodium\.h": ["controller/api", "controller/loop"],
    r"yaml\.h|libsmartcols\..*|libsmartcols/.*|editline/.*|histedit\.h": ["controller/cli"],
    r"systemd/.*": ["controller/base", "controller/loop"],
}


# Single files that see more, and why.
SEES = {
    # init and join try the port before anything is made
    "controller/daemon/setup.c": "sys/socket.h netdb.h",
}


def test_libraries_are_seen_where_they_belong():
    wrong = []
    for name in product():
        for line, quoted in tree.includes(name):
            for pattern, folders in LIBRARIES.items():
                if quoted[0] == "<" and re.fullmatch(pattern, quoted[1:-1]):
                    if folder_of(name) not in folders and quoted[1:-1] not in SEES.get(name, "").split():
                        wrong.append(f"{name}:{line}: {quoted}")
                    break
    none(wrong)


# Calls that wait, and ours that wrap them. On the loop nothing waits; the command line may, and so
# may these files, each for the calls named and the reason given.
BLOCKING = (r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep|PQexec\w*|PQconnectdb\w*|PQsetdb\w*|PQreset|"
            r"PQping\w*|PQgetCopyData|curl_easy_perform|getaddrinfo|gethostbyname|getnameinfo|poll|ppoll|select|"
            r"pselect|waitpid|wait|waitid|system|popen|SSL_connect|BIO_do_connect|child_run|pq_resolve|fetch_once|"
            r"fetch_stream|managed_make|\w+_blocking)\(")
MAY_BLOCK = {
    # addresses are numbers here, no name is looked up
    "controller/http/server.c": "getaddrinfo getnameinfo",
    "controller/http/conn.c": "getnameinfo",
    "controller/loop/knock.c": "getaddrinfo",
    # a process that has no loop
    "controller/daemon/keeper.c": "poll waitpid",
    # what the blocking calls are made of, and the reaping of what was killed
    "controller/loop/child.c": "child_run poll waitpid",
    "controller/loop/child.h": "child_run",
    "controller/loop/pq_text.c": "pq_resolve pq_connect_blocking pq_run_blocking getaddrinfo getnameinfo "
                                 "PQconnectdbParams PQexec PQexecParams",
    "controller/loop/pq.h": "pq_resolve pq_connect_blocking pq_run_blocking",
    "controller/loop/fetch.h": "fetch_once fetch_stream",
    # on a thread of its own
    "controller/loop/resolve.c": "getaddrinfo getnameinfo",
    "controller/loop/contact.c": "getaddrinfo poll SSL_connect",
    "controller/loop/fetch_once.c": "fetch_once fetch_stream curl_easy_perform",
    "controller/postgres/inspect.h": "inspect_blocking",
    "controller/postgres/inspect.c": "inspect_blocking pq_run_blocking",
    "controller/postgres/managed.h": "managed_make managed_start_blocking managed_stop_blocking",
    "controller/postgres/managed_make.c": "managed_make managed_start_blocking managed_stop_blocking child_run poll "
                                          "waitpid pq_connect_blocking",
    # on the worker thread
    "controller/postgres/migrate.c": "pq_connect_blocking pq_run_blocking",
    "controller/daemon/admit.c": "pq_connect_blocking",
    # before the loop runs
    "controller/daemon/home.c": "pq_resolve poll",
    "controller/daemon/setup_upgrade.c": "managed_start_blocking managed_stop_blocking pq_run_blocking fetch_once",
    "controller/daemon/setup.c": "managed_make managed_start_blocking managed_stop_blocking pq_connect_blocking "
                                 "pq_run_blocking inspect_blocking pq_resolve getaddrinfo",
    "controller/daemon/setup_init.c": "pq_run_blocking",
    "controller/daemon/setup_restore.c": "pq_run_blocking",
    "controller/daemon/setup_external.c": "pq_resolve pq_connect_blocking pq_run_blocking inspect_blocking",
    "controller/daemon/setup_join.c": "fetch_once",
    "controller/daemon/witness_init.c": "managed_make managed_start_blocking pq_connect_blocking pq_run_blocking",
}
SLEEP = r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep)\("
UNBOUNDED = r"\b(gets|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|alloca|tmpnam|mktemp)\("


def test_nothing_waits_on_the_loop():
    wrong = []
    for name in product():
        if folder_of(name) == "controller/cli":
            continue
        allowed = MAY_BLOCK.get(name, "").split()
        for line, found in tree.lines_with(name, BLOCKING):
            called = {match.group(1) for match in re.finditer(BLOCKING, found)}
            wrong += [f"{name}:{line}: {call}()" for call in sorted(called - set(allowed))]
    none(wrong)


# The only pauses: between two looks at a condition that has a deadline and cannot be waited for.
PAUSES = {
    ("tests/system/cluster.py", "time.sleep(step)"),
    ("schema/migrations/0008_subscriptions.sql", "perform pg_terminate_backend(user_pid), pg_sleep(0.001);"),
}


def test_nobody_sleeps():
    wrong = []
    for name in tree.sources(".c", ".h"):
        wrong += [f"{name}:{line}: {found}" for line, found in tree.lines_with(name, SLEEP)]
    for name in sorted({*tree.sources(".py", ".sh", ".sql"), *filter(is_script, tree.files())}):
        # a statement that takes long is what a test may need; no statement of ours does
        calls = r"\b(time\.sleep|asyncio\.sleep)\(|^\s*sleep \d" + (r"|pg_sleep\(" if name.endswith(".sql") else "")
        if not name.startswith("tests/tidy/"):
            wrong += [f"{name}:{line}: {found}" for line, found in tree.lines_with(name, calls, tree.text)
                      if (name, found) not in PAUSES]
    none(wrong)


def test_nobody_overruns():
    wrong = []
    for name in product():
        wrong += [f"{name}:{line}: {found}" for line, found in tree.lines_with(name, UNBOUNDED)]
    none(wrong)


def is_script(name):
    with open(tree.ROOT / name, "rb") as file:
        return file.read(2) == b"#!"


def test_time_has_one_source():
    wrong = []
    for name in product():
        if name == "controller/base/clock.c":
            continue
        wrong += [f"{name}:{line}: {found}" for line, found in
                  tree.lines_with(name, r"\b(clock_gettime|gettimeofday|time|ev_time|ev_now)\(")]
    none(wrong)


# ---- folder, header, prefix ----

# A name begins with a word of its header ("driver_inner.h" belongs to driver.h) or with its folder.
# The base library is words of the language, and some headers hold two things that are one.
PREFIXES = {
    "controller/base/check.h": ["check", "mem", "assert"],
    "controller/base/own.h": ["freep", "cleanup", "must_check", "printf_like", "take_ptr", "container_of",
                              "array_count"],
    "sites/epoch.h": ["epoch", "position", "hash", "site_name", "node_name"],
    "controller/api/auth.h": ["auth", "caller"],
    "controller/api/serve.h": ["serve", "api", "call", "calls", "doc", "reason_size_max"],
}


def exports(name):
    """Names that a header declares: functions, tags, constants, macros, types."""
    body = tree.code(name)
    found = set(re.findall(r"^#[ \t]*define[ \t]+(\w+)", body, re.M))
    body = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", "", body, flags=re.M)
    found |= set(re.findall(r"^(?:struct|enum|union)[ \t]+(\w+)[ \t\n]*\{", body, re.M))
    found |= set(re.findall(r"^typedef\b[^;{]*?\b(\w+)(?:\([^;]*)?;", body, re.M))
    for block in re.findall(r"^enum\b[^;{(]*\{(.*?)\}", body, re.M | re.S):
        found |= {word for word in re.findall(r"(?:^|,)\s*(\w+)\s*(?:=[^,]*)?(?=,|$)", block.strip())}
    flat = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "{}", re.sub(r"\{[^{}]*\}", "{}", body)))
    flat = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|PRINTF_LIKE\([^)]*\)", "", flat)
    found |= set(re.findall(r"^(?!typedef|static_assert|_Static_assert)[a-zA-Z_][\w \t*]*?\b(\w+)\(", flat, re.M))
    found |= set(re.findall(r"^extern [^;(]*?\b(\w+)(?:\[[^\]]*\])?;", flat, re.M))
    return {word for word in found if word not in ("X", "MUST_CHECK", "_Noreturn")}


def prefixes_of(header):
    folder, stem = header[:-2].rsplit("/", 1)
    words = stem.split("_") + [folder.rsplit("/", 1)[-1]]
    return PREFIXES.get(header, words + [word + "s" for word in words] + [word.rstrip("s") for word in words])


def test_headers_export_their_own_prefix():
    wrong = []
    for header in [name for name in product() if name.endswith(".h")]:
        prefixes = prefixes_of(header)
        for word in sorted(exports(header)):
            lower = word.lower()
            if not any(lower == prefix or lower.startswith(prefix + "_") for prefix in prefixes):
                wrong.append(f"{header}: {word}")
    none(wrong)


def test_headers_explain_themselves():
    """'name.h -- purpose' first, then #pragma once."""
    wrong = []
    for header in tree.sources(".h"):
        stem = header.rsplit("/", 1)[1]
        if not tree.text(header).startswith(f"/*\n * {stem} -- ") or "\n#pragma once\n" not in tree.text(header):
            wrong.append(header)
    none(wrong)


# ---- size and layout ----

FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70


def test_files_are_not_too_long():
    names = tree.sources(".c", ".h", ".py", ".sql", ".sh")
    none([f"{name}: {lines} lines" for name in names
            if (lines := tree.text(name).count("\n")) > FILE_LINES_MAX])


def test_functions_are_not_too_long():
    long = []
    for name in tree.sources(".c", ".h"):
        long += [f"{name}:{line}: {function}() has {count} lines" for function, line, count in tree.functions(name)
                 if count > FUNCTION_LINES_MAX]
    none(long)


def test_the_reader_of_functions_sees_them():
    """A check that finds nothing must not be one that reads nothing."""
    names = [function for function, _, _ in tree.functions("sites/setting.c")]
    assert {"setting_find", "setting_resolve", "setting_rules_json"} <= set(names)
    assert len(names) > 20


def test_clang_format_agrees():
    program = shutil.which("clang-format")
    if program is None:
        pytest.fail("clang-format is missing: make deps")
    done = subprocess.run([program, "--dry-run", "-Werror", *tree.sources(".c", ".h")], cwd=tree.ROOT,
                          capture_output=True, text=True, check=False)
    none(sorted({line.split(":")[0] for line in done.stderr.split("\n") if ": error:" in line}))
    assert done.returncode == 0, done.stderr


# ---- words ----

def prose():
    return [name for name in tree.files() if not name.startswith(("tests/tidy/", "tests/fuzz/corpus/"))
            and not name.endswith(".dict")]


def test_nothing_is_left_for_later():
    marks = r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"
    wrong = []
    for name in prose():
        wrong += [f"{name}:{line}: {found[:80]}" for line, found in tree.lines_with(name, marks, tree.text)
                  if name != "LICENSE"]
    none(wrong)


def test_no_word_of_one_persons_machine():
    places = r"\.\./shared|/work/|/tmp/wt|/home/(?!anna\b)\w|/Users/\w|/root/"
    wrong = []
    for name in prose():
        wrong += [f"{name}:{line}: {found[:80]}" for line, found in tree.lines_with(name, places, tree.text)]
    none(wrong)


def test_lines_end_cleanly():
    wrong = []
    for name in prose():
        if "/golden/" in name:  # what a program printed, as it printed it
            continue
        body = tree.text(name)
        if body and not body.endswith("\n"):
            wrong.append(f"{name}: no newline at the end")
        if "\r" in body:
            wrong.append(f"{name}: carriage return")
        wrong += [f"{name}:{line}: blank at the end" for line, _ in tree.lines_with(name, r"[ \t]$", raw)]
        if not name.endswith(("Makefile", ".mk", ".scd")):
            wrong += [f"{name}:{line}: tab" for line, _ in tree.lines_with(name, r"^ *\t", raw)]
    none(wrong)


def raw(name):
    return tree.text(name)


def test_links_in_documents_lead_somewhere():
    wrong = []
    for name in tree.sources(".md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", tree.text(name)):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (tree.ROOT / folder_or_top(name) / target).exists():
                wrong.append(f"{name}: {target}")
    none(wrong)


def folder_or_top(name):
    return name.rsplit("/", 1)[0] if "/" in name else "."


# ---- tables and those who read them ----

def test_every_setting_is_used():
    """A setting that nobody reads is a promise that nobody keeps."""
    body = tree.text("sites/setting.h")
    table = body[body.index("#define SETTING_TABLE(X)"):body.index("enum setting_id")]
    rows = re.findall(r'X\((\w+), "([^"]+)", (\w+),', re.sub(r"\s*\\\n\s*", " ", table))
    assert len(rows) > 30
    readers = "\n".join(tree.text(name) for name in product() if not name.startswith("sites/setting."))
    unused = [key for symbol, key, kind in rows
              if kind != "ANY" and not re.search(rf'\bSETTING_{symbol}\b|"{re.escape(key)}"', readers)
              and symbol not in ("DURABILITY", "SYNC_K", "USE_ALTERNATE", "INSTANCE_EXPECTED", "INSTANCE_NEXT_VERSION")]
    none(unused)


def test_every_query_is_used():
    users = "\n".join(tree.text(name) for name in tree.sources(".c", ".h", ".py"))
    none([name for name in tree.sources(".sql", below="schema/queries/")
            if not re.search(rf"\bsql_{name.rsplit('/', 1)[1][:-4]}\b", users)])


def test_queries_say_their_parameters():
    none([name for name in tree.sources(".sql", below="schema/queries/")
            if not tree.text(name).startswith("-- ")])
