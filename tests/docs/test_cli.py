"""The command line against a node that knows docs/api.yaml and nothing else: requests, answers, exit codes."""

import json
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import stat
import subprocess
import threading
import time

import pytest

from told_node import GOLDEN, ROOT, ToldNode, golden, make_folder, make_identity

DEADLINE_S = 20


def find_baton():
    return os.path.join(os.environ.get("BATON_BUILD", ROOT / "build"), "baton")


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    folder = tmp_path_factory.mktemp("west-1")
    make_identity(folder)
    return folder


@pytest.fixture
def node(identity):
    node = ToldNode(identity)
    make_folder(identity, node.address)
    yield node
    node.close()
    assert node.wrong == []


class Ran:
    def __init__(self, code, out, notes):
        self.code, self.out, self.notes = code, out, notes


@pytest.fixture
def baton(identity, tmp_path):
    """Runs a command as the local administrator of west-1; --server LOGIN uses the saved login."""

    def environment(**more):
        clean = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(tmp_path), "TERM": "xterm"}
        return clean | more

    def run(line, stdin=None, code=0, folder=True, **more):
        words = shlex.split(line) if isinstance(line, str) else list(line)
        words += ["--data-dir", str(identity)] if folder else []
        done = subprocess.run(
            [find_baton(), *words], input=stdin, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            env=environment(**more), stdin=subprocess.DEVNULL if stdin is None else None,
        )
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return Ran(done.returncode, done.stdout, done.stderr)

    def on_terminal(line, typed=(), code=0, folder=True, **more):
        """`typed`: pairs of (what must be on the screen, what is typed or called then)."""
        words = shlex.split(line) + (["--data-dir", str(identity)] if folder else [])
        child, terminal = pty.fork()
        if child == 0:
            os.execve(find_baton(), ["baton", *words], environment(**more))
        screen, waits, end = "", list(typed), time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if waits and re.search(waits[0][0], screen):
                what = waits.pop(0)[1]
                what() if callable(what) else os.write(terminal, what.encode())
            if not select.select([terminal], [], [], 0.05)[0]:
                continue
            try:
                screen += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
        else:
            os.kill(child, signal.SIGKILL)
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == code, (words, status, screen)
        return screen

    run.on_terminal = on_terminal
    run.environment = environment
    return run


# ---- every command asks what is told, and shows the answer ----

ENTRY = {"key": "log.level", "value": "debug", "author": "anna", "at": "2026-11-22T05:41:03.123Z"}
NODES = {"nodes": golden("status_healthy")["nodes"]}
CONNECTORS = {"connectors": golden("status_healthy")["connectors"]}

TESTED = {"nodes": golden("arbiter_tested")["nodes"][:1]}

COMMANDS = [
    # command, method, path, answer when the description has no example
    ("status", "GET", "/v1/status", golden("status_healthy")),
    ("doctor", "GET", "/v1/doctor", None),
    ("promote west --dry-run", "POST", "/v1/promote", None),
    ("promotion list --limit 5", "GET", "/v1/promotions", golden("promotions")),
    ("promotion show west-1.1f29e53d", "GET", "/v1/promotions/west-1.1f29e53d", None),
    ("config get app/colour --site west", "GET", "/v1/config/app/colour", None),
    ("config set app/colour red --reason 'schön' --if-match 7", "PUT", "/v1/config/app/colour", None),
    ("config set 'app/a b' '{\"x\": [1, null]}' --site west", "PUT", "/v1/config/app/a b", None),
    ("config delete app/colour --if-match 0", "DELETE", "/v1/config/app/colour", None),
    ("config list app/ --site west", "GET", "/v1/config", None),
    ("config history app/colour --after 3 --limit 7", "GET", "/v1/history", None),
    ("config rollback 1040 --prefix app/ --dry-run", "POST", "/v1/rollback", None),
    ("config rollback 1040 --yes --reason 'wrong colours'", "POST", "/v1/rollback", None),
    ("config export app/", "GET", "/v1/config", None),
    ("local get log.level", "GET", "/v1/local/log.level", ENTRY),
    ("local set log.level debug", "PUT", "/v1/local/log.level", ENTRY),
    ("local set log.level debug --dry-run", "PUT", "/v1/local/log.level", ENTRY),
    ("local delete log.level", "DELETE", "/v1/local/log.level", ENTRY),
    ("local list", "GET", "/v1/local", None),
    ("explain connector/pam --if-promoted west", "GET", "/v1/explain/connector/pam", golden("explain_promoted")),
    ("connector list", "GET", "/v1/connectors", CONNECTORS),
    ("connector show pam", "GET", "/v1/connectors/pam", golden("connector")),
    ("connector instances pam", "GET", "/v1/instances/pam", None),
    ("connector token create pam --ttl 30d", "POST", "/v1/agent/tokens", None),
    ("connector token list", "GET", "/v1/agent/tokens", golden("agent_tokens")),
    ("connector token revoke 9f3c1b7a", "DELETE", "/v1/agent/tokens/9f3c1b7a", None),
    ("arbiter show", "GET", "/v1/arbiter", None),
    ("arbiter set etcd --endpoints https://a:2379,https://b:2379 --reason x", "PUT", "/v1/arbiter", None),
    ("arbiter set postgres --dsn 'host=third.example port=7445'", "PUT", "/v1/arbiter", None),
    ("arbiter set manual", "PUT", "/v1/arbiter", None),
    ("arbiter test", "POST", "/v1/arbiter/test", TESTED),
    ("arbiter test etcd --endpoints https://a:2379", "POST", "/v1/arbiter/test", TESTED),
    ("why", "GET", "/v1/why", None),
    ("why east-2", "GET", "/v1/why", golden("why_one")),
    ("ready west", "GET", "/v1/ready", golden("ready")),
    ("pause", "GET", "/v1/pause", None),
    ("pause --for 2h --reason 'new switches'", "PUT", "/v1/pause", None),
    ("pause --until 2026-11-22T07:41:03Z --reason x", "PUT", "/v1/pause", None),
    ("resume", "DELETE", "/v1/pause", None),
    ("budget --site east", "GET", "/v1/budget", golden("budget_none")),
    ("check timeouts --requests 50", "POST", "/v1/check/timeouts", None),
    ("setaside list", "GET", "/v1/setaside", None),
    ("setaside show 1", "GET", "/v1/setaside/1", golden("setaside")),
    ("setaside apply 1 1042 1043 --yes --reason x", "POST", "/v1/setaside/1/apply", None),
    ("setaside discard 1 --yes", "POST", "/v1/setaside/1/discard", None),
    ("token create --site west --ttl 1h", "POST", "/v1/tokens", None),
    ("token list", "GET", "/v1/tokens", golden("tokens")),
    ("token revoke 9f3c1b7a", "DELETE", "/v1/tokens/9f3c1b7a", None),
    ("node list", "GET", "/v1/nodes", NODES),
    ("node remove west-2 --yes", "DELETE", "/v1/nodes/west-2", None),
    ("site list", "GET", "/v1/sites", None),
    ("secret list", "GET", "/v1/secrets", None),
    ("secret rotate", "POST", "/v1/datakey/rotate", None),
    ("secret delete pam-old --yes", "DELETE", "/v1/secrets/pam-old", None),
    ("user list", "GET", "/v1/users", None),
    ("user set anna --role viewer", "PUT", "/v1/users/anna", None),
    ("user delete anna --yes", "DELETE", "/v1/users/anna", None),
]


@pytest.mark.parametrize("line,method,path,answer", COMMANDS, ids=[row[0] for row in COMMANDS])
def test_command(node, baton, line, method, path, answer):
    if answer is not None:
        node.answers[(method, path)] = answer
    shown = baton(line)
    assert shown.out != ""
    assert "?" not in shown.out.replace("? not", ""), shown.out  # every figure of the answer is understood
    request = node.seen[-1]
    assert (request.method, request.path) == (method, path)
    assert request.client == "west-1"
    if "export" in line:
        return
    told = baton(line + " --json")
    document = json.loads(told.out)
    assert told.out.count("\n") == 1
    assert document == (answer if answer is not None else node.told(request)[1])


def test_all_instances(node, baton):
    node.answers[("GET", "/v1/instances")] = golden("instances_list")
    shown = baton("connector instances").out
    assert "gate-2" in shown and "bad: the server answered 503" in shown and "DISCONNECTED" in shown
    assert "pam is upgraded from 1.7.0 to 1.8.0" in shown and "has not heard of all yet" in shown
    assert (node.seen[-1].path, node.seen[-1].query) == ("/v1/instances", {"limit": "1000"})


@pytest.mark.parametrize("line,mend", [
    ("agent --version 1 --health http://x/", "BATON_CONNECTOR_ID"),
    ("agent --connector-id pam --version 1 --health http://x/", "BATON_AGENT_TOKEN"),
    ("agent --connector-id pam --token baton1.x --version 1 --health http://x/", "baton connector token create"),
    ("agent --connector-id pam --token x --version 1 --health http://x/ --metadata x", "KEY=VALUE"),
    ("agent --connector-id pam --version 1", "--health"),
], ids=["id", "token", "another token", "metadata", "health"])
def test_an_agent_says_what_it_lacks(baton, line, mend):
    assert mend in baton(line, code=2, folder=False).notes


def test_every_route_for_people_has_a_command(node):
    """What the description offers to people, the command line asks for (or another test here does)."""
    asked = {node.find(method, path)[1]["operationId"] for _, method, path, _ in COMMANDS}
    elsewhere = {"login", "logout", "events", "config_write", "join", "secret_set", "instance_list", "backup"}
    machines = {"healthz", "readyz", "primary", "standby", "metrics", "version", "agent_beat", "agent_leave"}
    for item in node.api["paths"].values():
        for method, operation in item.items():
            if method != "parameters" and operation["x-baton-role"] != "node":
                assert operation["operationId"] in asked | elsewhere | machines


def test_what_is_sent(node, baton):
    baton("config set app/x 5 --reason 'größer: 5 %' --if-match 7 --site west")
    request = node.seen[-1]
    assert request.body == {"value": 5}
    assert request.query == {"site": "west"}
    assert request.headers["If-Match"] == '"7"'
    assert request.headers["Baton-Reason"] == "gr%C3%B6%C3%9Fer%3A%205%20%25"
    baton("config set app/x 5 --text")
    assert node.seen[-1].body == {"value": "5"}
    baton("config set app/x -", stdin='{"a": [true]}')
    assert node.seen[-1].body == {"value": {"a": [True]}}
    baton("token create --site west --ttl 2m")
    assert node.seen[-1].body == {"site": "west", "ttl_s": 120}
    baton("setaside apply 1 7 8 --yes")
    assert node.seen[-1].body == {"rows": [7, 8]}
    baton("setaside apply 1 --yes")
    assert node.seen[-1].body == {}


def test_value_from_a_file(node, baton, tmp_path):
    (tmp_path / "pam.yaml").write_text("main:\n  url: https://tcf1.east:8443\n")
    baton(f"config set connector/pam --file {tmp_path}/pam.yaml")
    assert node.seen[-1].body == {"value": {"main": {"url": "https://tcf1.east:8443"}}}
    (tmp_path / "bad.yaml").write_text("main:\n  url: yes\n")
    refused = baton(f"config set connector/pam --file {tmp_path}/bad.yaml", code=2)
    assert f"baton: {tmp_path}/bad.yaml: 2:8: 'yes'" in refused.notes


# ---- errors ----


def problem(status, kind, code, detail, mend="", **more):
    return status, {
        "type": "about:blank", "title": "x", "status": status, "detail": detail, "code": code, "kind": kind,
        "mend": mend,
    } | more


ERRORS = [
    (problem(400, "invalid", "bad_value", "it is wrong", "write it right"), 2),
    (problem(401, "login_needed", "login_needed", "who are you"), 3),
    (problem(403, "denied", "role_needed", "not you"), 3),
    (problem(404, "not_found", "key_not_found", "no key 'x'"), 4),
    (problem(409, "conflict", "promotion_running", "another runs"), 5),
    (problem(412, "precondition_failed", "precondition_failed", "it is at 9"), 5),
    (problem(413, "limit", "value_too_large", "too large"), 2),
    (problem(429, "throttled", "throttled", "slowly"), 6),
    (problem(500, "internal", "internal", "our mistake"), 9),
    (problem(502, "protocol", "bad_reply", "senseless"), 9),
    (problem(503, "fenced", "fenced", "may do nothing"), 6),
    (problem(503, "unavailable", "no_primary", "no primary is known"), 6),
    (problem(504, "timeout", "timeout", "not in time"), 7),
    (problem(504, "unknown_outcome", "unknown_outcome", "perhaps"), 8),
]


@pytest.mark.parametrize("answer,code", ERRORS, ids=[row[0][1]["kind"] for row in ERRORS])
def test_error(node, baton, answer, code):
    node.answers[("PUT", "/v1/config/x")] = answer
    shown = baton("config set x 1", code=code)
    assert shown.out == ""
    assert shown.notes.startswith("baton: ") and answer[1]["detail"] in shown.notes
    if answer[1]["mend"]:
        assert f"\n  mend: {answer[1]['mend']}\n" in shown.notes
    told = baton("config set x 1 --json", code=code)
    assert told.out == ""
    assert json.loads(told.notes) == answer[1]
    assert told.notes.count("\n") == 1


def test_faults_are_listed(node, baton):
    faults = [{"pointer": "/main/url", "text": "must begin with https://"}, {"pointer": "", "text": "too much"}]
    node.answers[("PUT", "/v1/config/connector/pam")] = problem(400, "invalid", "bad_value", "2 faults", faults=faults)
    shown = baton("config set connector/pam '{}'", code=2)
    assert "\n  /main/url: must begin with https://\n  (value): too much\n" in shown.notes


def test_nobody_answers(node, baton, identity):
    make_folder(identity, "127.0.0.1:1")
    shown = baton("status", code=6)
    assert shown.notes.startswith("baton: GET https://127.0.0.1:1/v1/status: ")
    assert "mend: is it running? batond --data-dir" in shown.notes
    assert json.loads(baton("status --json", code=6).notes)["kind"] == "unavailable"


def test_senseless_answers(node, baton):
    node.answers[("GET", "/v1/status")] = lambda _: "data: this is no JSON\n\n"
    assert "mend: is this a node of Baton" in baton("status", code=9).notes
    node.answers[("GET", "/v1/status")] = {}
    assert "NO PRIMARY IS KNOWN" in baton("status").out


def test_no_node_to_ask(baton):
    shown = baton("status", code=2, folder=False)
    assert "neither --data-dir nor --server" in shown.notes and "mend: on a node: --data-dir" in shown.notes
    assert "only one of them" in baton("status --server x", code=2).notes


def test_environment(node, baton, identity):
    baton("status", folder=False, BATON_DATA_DIR=str(identity))
    assert node.seen[-1].client == "west-1"


# ---- promote ----


def promotion(state, steps, **more):
    return golden("promotion_done") | {"state": state, "steps": steps} | more


def test_promote_shows_each_step(node, baton):
    done = golden("promotion_done")
    stages = []
    for count in range(1, len(done["steps"]) + 1):
        running = [step | ({"state": "running"} if step == done["steps"][count - 1] else {})
                   for step in done["steps"][:count]]
        stages.append(promotion("running", running))
    stages.append(done)
    node.answers[("GET", "/v1/promotions/west-1.1f29e53d")] = lambda _: stages.pop(0) if len(stages) > 1 else stages[0]
    shown = baton("promote west --yes --reason 'east is on fire' --override connectors --accept-data-loss")
    orders = [request.body for request in node.seen if request.path == "/v1/promote"]
    assert [order["dry_run"] for order in orders] == [True, False]
    assert all(order["target"] == "west" and order["overrides"] == ["connectors"] for order in orders)
    assert all(order["accept_data_loss"] and order["reason"] == "east is on fire" for order in orders)
    for step in done["steps"]:
        assert len(re.findall(rf"^  {step['state']} +{step['name']} ", shown.out, re.M)) == 1
    assert "done: west-1 is primary of epoch 3/west-1 after 220 ms; writes were closed for 1.49 s" in shown.out
    assert json.loads(baton("promote west --yes --json").out) == done


def test_promote_fails_with_the_code_of_its_cause(node, baton):
    node.answers[("GET", "/v1/promotions/west-1.1f29e53d")] = golden("promotion_reverted")
    shown = baton("promote west --yes", code=7)
    assert "reverted after 5.31 s" in shown.out
    assert "17 revisions" in shown.notes and "mend: look at the connection" in shown.notes


def test_promote_is_followed_over_a_silence(node, baton):
    answers = [problem(503, "unavailable", "busy", "not now"), problem(404, "not_found", "promotion_not_found", "x"),
               golden("promotion_done")]
    node.answers[("GET", "/v1/promotions/west-1.1f29e53d")] = lambda _: answers.pop(0) if len(answers) > 1 else answers[0]
    baton("promote west --yes")


def test_promote_that_is_refused(node, baton):
    node.answers[("POST", "/v1/promote")] = golden("plan_refused")
    shown = baton("promote west --yes", code=5)
    assert "check quorum says no" in shown.notes
    assert len(node.seen) == 1  # only the dry run
    assert baton("promote west --dry-run", code=5).out.startswith("failover: ")
    assert "reason" in baton("promote west --override connectors", code=2).notes


def test_promote_asks_for_a_word(node, baton):
    shown = baton("promote west", code=2)
    assert "mend: add --yes when you are sure" in shown.notes
    assert len(node.seen) == 1
    node.answers[("GET", "/v1/promotions/west-1.1f29e53d")] = golden("promotion_done")
    screen = baton.on_terminal("promote west", typed=[("Type 'west' to go on", "east\n")], code=9)
    assert "nothing was done" in screen
    assert all(request.body["dry_run"] for request in node.seen)
    screen = baton.on_terminal("promote west", typed=[("Type 'west' to go on", "west\n")])
    assert "done: west-1 is primary" in screen


# ---- login ----


def test_login(node, baton, identity, tmp_path):
    saved = tmp_path / ".config/baton/credentials.json"
    (tmp_path / "password").write_text("correct horse battery\nrest\n")
    line = f"login --server {node.url} --user anna --password-file {tmp_path}/password"
    assert "nobody vouches" in baton(line, code=2, folder=False).notes
    assert "it is the certificate of 'west-1'" in baton(f"{line} --ca {identity}/leaf.crt", code=2, folder=False).notes
    shown = baton(f"{line} --ca {identity}/ca.crt", folder=False)
    assert shown.out.startswith("anna is admin at https://127.0.0.1:")
    assert node.seen[-1].body == {"user": "anna", "password": "correct horse battery"}
    assert node.seen[-1].client is None
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600

    baton("status", folder=False)  # the last login is the default
    assert node.seen[-1].headers["Authorization"] == "Bearer Zm9v"
    baton(f"status --server {node.address}", folder=False)
    baton("status", folder=False, BATON_SERVER=node.url)
    assert "no saved login" in baton("status --server https://127.0.0.1:2", code=3, folder=False).notes
    assert "baton login" not in baton(line, folder=False).notes  # the CA is known now

    node.answers[("GET", "/v1/status")] = problem(401, "login_needed", "session_expired", "the session has ended")
    assert "mend: log in again: baton login --server" in baton("status", code=3, folder=False).notes
    saved.chmod(0o644)
    assert "mend: chmod 600" in baton("status", code=3, folder=False).notes
    saved.chmod(0o600)
    baton("logout", folder=False)
    assert node.seen[-1].path == "/v1/logout"
    assert json.loads(saved.read_text())["servers"] == {}
    baton("status", code=2, folder=False)


def test_login_by_pin(node, baton, identity, tmp_path):
    key = subprocess.run(
        f"openssl x509 -in {identity}/ca.crt -noout -pubkey | openssl pkey -pubin -outform der | sha256sum",
        shell=True, check=True, capture_output=True, text=True,
    ).stdout.split()[0]
    (tmp_path / "password").write_text("correct horse battery")
    line = f"login --server {node.url} --user anna --password-file {tmp_path}/password"
    assert "64 hex digits" in baton(f"{line} --pin sha256:12", code=2, folder=False).notes
    assert "none of its 2 certificates" in baton(f"{line} --pin sha256:{'0' * 64}", code=3, folder=False).notes
    assert node.seen == []  # the password was not sent to anybody
    baton(f"{line} --pin sha256:{key}", folder=False)
    assert node.seen[-1].path == "/v1/login"


def test_a_stranger_gets_nothing(node, baton, identity, tmp_path):
    """The CA of another cluster: no password leaves us."""
    make_identity(tmp_path)
    (tmp_path / "password").write_text("correct horse battery")
    shown = baton(
        f"login --server {node.url} --user anna --password-file {tmp_path}/password --ca {tmp_path}/ca.crt",
        code=9, folder=False,
    )
    assert node.seen == []
    assert "certificate" in shown.notes


def test_login_asks_without_echo(node, baton, identity):
    screen = baton.on_terminal(
        f"login --server {node.url} --ca {identity}/ca.crt", folder=False,
        typed=[("User for", "anna\n"), ("Password: ", "wrong\x15correct horse batter\x7fry\n")],
    )
    assert node.seen[-1].body == {"user": "anna", "password": "correct horse battery"}
    assert "correct" not in screen
    screen = baton.on_terminal(
        f"login --server {node.url} --user anna", folder=False, typed=[("Password: ", "half\x03")], code=9
    )
    assert "nothing was done" in screen and len(node.seen) == 1


def test_new_password_is_typed_twice(node, baton):
    screen = baton.on_terminal("user set anna --role viewer --password", code=2,
                               typed=[("New password: ", "correct horse\n"), ("Again: ", "correct house\n")])
    assert "differ" in screen and node.seen == []
    baton.on_terminal("user set anna", typed=[("New password: ", "correct horse\n"), ("Again: ", "correct horse\n")])
    assert node.seen[-1].body == {"password": "correct horse"}


def test_a_secret_is_sent_and_never_said(node, baton, tmp_path):
    """From standard input without the line end that a shell adds, from a file byte for byte, or typed twice."""
    (tmp_path / "key").write_bytes(b"\x00\xfe key\n")
    for words, stdin, sent in (("--stdin", "s3cret\n", {"value": "s3cret"}), ("--stdin", "two\n\n", {"value": "two\n"}),
                               ("--stdin", "é", {"value": "é"}), (f"--file {tmp_path}/key", None, {"base64url": "AP4ga2V5Cg"})):
        shown = baton(f"secret set pam-main {words} --reason why", stdin=stdin)
        request = node.seen[-1]
        assert (request.method, request.path, request.body) == ("PUT", "/v1/secrets/pam-main", sent)
        assert "s3cret" not in shown.out + shown.notes and "sealed pam-main: revision" in shown.out
    screen = baton.on_terminal("secret set pam-main", typed=[("Secret: ", "s3cret\n"), ("Again: ", "s3cret\n")])
    assert node.seen[-1].body == {"value": "s3cret"} and "s3cret" not in screen
    count = len(node.seen)
    screen = baton.on_terminal("secret set pam-main", code=2, typed=[("Secret: ", "s3cret\n"), ("Again: ", "s3cre\n")])
    assert "differ" in screen and "s3cre" not in screen
    (tmp_path / "large").write_bytes(b"x" * 65537)
    for words, stdin in (("s3cret", None), ("", ""), ("--stdin", ""), ("--stdin", "\n"), ("--stdin", "x" * 65537),
                         (f"--file {tmp_path}/large", None), (f"--file {tmp_path}/key --stdin", "s3cret")):
        shown = baton(f"secret set pam-main {words}", stdin=stdin, code=2)
        assert "s3cret" not in shown.out + shown.notes
    assert len(node.seen) == count


def test_a_backup_is_proved_before_it_is_kept(node, baton, tmp_path):
    """The password is typed twice and goes nowhere; an answer that does not open is not written to a file."""
    kept, question = tmp_path / "kept", "Password of the backup: "
    screen = baton.on_terminal(f"backup {kept}", code=2, typed=[(question, "correct horse\n"), ("Again: ", "correct hors\n")])
    assert "differ" in screen and node.seen == []
    screen = baton.on_terminal(f"backup {kept}", code=2, typed=[(question, "correct horse\n"), ("Again: ", "correct horse\n")])
    request = node.seen[-1]
    assert (request.method, request.path, list(request.body)) == ("POST", "/v1/backup", ["key"])
    assert "what the node answered" in screen and "correct horse" not in screen + str(request.body)
    assert not kept.exists()
    for words, code in (("backup", 2), (f"backup --check {kept}", 4), (f"restore {kept} --node east-1", 4),
                        (f"backup {tmp_path} --password-file -", 5), (f"backup {kept} --password-file -", 2)):
        baton(words, stdin="short\n", code=code)
    assert len(node.seen) == 1


# ---- files, editor, streams ----


def test_export_and_import(node, baton, tmp_path):
    entries = golden("entries")
    entries["entries"].append({"site": "", "key": "secret/pam-main", "value": {"sealed": "0123456789abcdef"}, "revision": 5,
                               "author": "anna", "at": "2026-11-22T05:41:03.123Z"})
    node.answers[("GET", "/v1/config")] = entries
    assert "(sealed, key 0123456789abcdef)" in baton("config list").out
    for name in ("config.yaml", "config.json"):
        baton(f"config export --output {tmp_path}/{name}")
        assert "secret" not in (tmp_path / name).read_text()
        assert "nothing to do" in baton(f"config import {tmp_path}/{name} --prune --yes").out
    assert all(request.method == "GET" for request in node.seen)
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("app/colour: red", "app/colour: blue"))
    shown = baton(f"config import {tmp_path}/config.yaml", code=2)
    assert "import 1 change: must be confirmed" in shown.notes
    assert "blue" in baton(f"config import {tmp_path}/config.yaml --dry-run").out
    assert all(request.method == "GET" for request in node.seen)
    baton(f"config import {tmp_path}/config.yaml --yes --reason 'new colours'")
    assert node.seen[-1].body == {"changes": [{"key": "app/colour", "value": "blue", "if_match": 1042}]}
    (tmp_path / "config.yaml").write_text("cluster: {}\n")
    assert f"{tmp_path}/config.yaml: baton_config: must be 1" in baton(
        f"config import {tmp_path}/config.yaml --yes", code=2).notes


def test_too_many_changes_are_not_cut(node, baton, tmp_path):
    node.answers[("GET", "/v1/config")] = {"revision": 1, "entries": []}
    file = {"baton_config": 1, "cluster": {f"app/{number}": number for number in range(1001)}}
    (tmp_path / "config.json").write_text(json.dumps(file))
    assert "--prefix" in baton(f"config import {tmp_path}/config.json --yes", code=2).notes
    baton(f"config import {tmp_path}/config.json --yes --prefix app/1")
    assert len(node.seen[-1].body["changes"]) == 112


def editor(folder, script):
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_local_edit(node, baton, tmp_path):
    node.answers[("GET", "/v1/local")] = golden("local")
    for key in ("log.level", "alarm.disk_free_mb", "connector/pam/use_alternate_server"):
        for method in ("PUT", "DELETE"):
            node.answers[(method, f"/v1/local/{key}")] = ENTRY
    change = editor(tmp_path, "sed -i -e 's/debug/info/' -e '/^connector/d' \"$1\"; echo 'alarm.disk_free_mb: 50' >> \"$1\"")
    shown = baton("local edit", EDITOR=change)
    assert "3 settings changed" in shown.notes
    done = [(r.method, r.path[len("/v1/local/"):], r.query.get("dry_run"), r.body) for r in node.seen[1:]]
    assert done == [
        ("PUT", "log.level", "true", {"value": "info"}),
        ("PUT", "alarm.disk_free_mb", "true", {"value": 50}),
        ("PUT", "log.level", None, {"value": "info"}),
        ("PUT", "alarm.disk_free_mb", None, {"value": 50}),
        ("DELETE", "connector/pam/use_alternate_server", None, None),
    ]
    assert not list(pathlib.Path("/tmp").glob("baton-local-*"))


def test_local_edit_writes_nothing_that_is_wrong(node, baton, tmp_path):
    node.answers[("GET", "/v1/local")] = golden("local")
    node.answers[("PUT", "/v1/local/log.level")] = problem(400, "invalid", "bad_value", "not a level", "info or debug")
    shown = baton("local edit", EDITOR=editor(tmp_path, "sed -i 's/debug/loud/' \"$1\""), code=2)
    assert "not a level" in shown.notes and "nothing was changed" in shown.notes
    shown = baton("local edit", EDITOR=editor(tmp_path, "echo 'x: [1' > \"$1\""), code=2)
    assert re.search(r"/tmp/baton-local-\w+\.yaml: 2:1: ", shown.notes)
    assert all(r.query.get("dry_run") == "true" for r in node.seen if r.method == "PUT")
    assert "failed: nothing was changed" in baton("local edit", EDITOR="false", code=9).notes
    before = len([r for r in node.seen if r.method != "GET"])
    assert "0 settings changed" in baton("local edit", EDITOR="true").notes
    assert len([r for r in node.seen if r.method != "GET"]) == before


def test_an_interrupt_while_editing_is_the_editors(node, baton, tmp_path):
    node.answers[("GET", "/v1/local")] = golden("local")
    patient = editor(tmp_path, "trap '' INT; echo editing; read line")
    shown = baton.on_terminal("local edit", typed=[("editing", "\x03\n")], EDITOR=patient)
    assert "0 settings changed" in shown


def event(number, key):
    row = golden("history")["rows"][2] | {"revision": number, "key": key}
    return f"event: config\nid: {number}\ndata: {json.dumps(row)}\n\n"


def test_config_watch_leaves_nothing_out(node, baton, identity):
    parts = [event(1, "app/a") + ": ping\n\nevent: node\ndata: {}\n\n" + event(2, "other/b"), event(3, "app/c"), ""]
    node.answers[("GET", "/v1/events")] = lambda _: parts.pop(0) if parts else ""
    with subprocess.Popen(
        [find_baton(), "config", "watch", "app/", "--json", "--data-dir", str(identity)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=baton.environment(),
    ) as child:
        rows = [json.loads(child.stdout.readline()) for _ in range(2)]
        child.terminate()
    assert [(row["revision"], row["key"]) for row in rows] == [(1, "app/a"), (3, "app/c")]
    assert [r.headers["Last-Event-ID"] for r in node.seen[:2]] == [None, "2"]


def test_config_watch_ends_when_it_cannot_begin(node, baton):
    node.answers[("GET", "/v1/events")] = problem(403, "denied", "role_needed", "not you")
    assert "not you" in baton("config watch", code=3).notes


def test_status_watch_keeps_the_last_screen(node, baton):
    answers = [golden("status_healthy"), problem(503, "unavailable", "busy", "too busy")]
    node.answers[("GET", "/v1/status")] = lambda _: answers.pop(0) if len(answers) > 1 else answers[0]
    screen = baton.on_terminal("status --watch --interval 100ms", typed=[("NO ANSWER(?s:.*)what stands below is .* old(?s:.*)ACTIVATION", "\x03")], code=-signal.SIGINT)
    assert "too busy" in screen
    assert re.search(r"what stands below is .* old", screen)
    last = screen[screen.rindex("NO ANSWER"):]
    assert "east-1" in last or screen.count("primary     east-1") >= 2


def test_colour_only_on_a_terminal(node, baton):
    assert "\033" not in baton("status").out
    assert "\033[" in baton.on_terminal("status")
    assert "\033[3" not in baton.on_terminal("status", NO_COLOR="1")
    assert "\033[3" not in baton.on_terminal("status", TERM="dumb")


def test_progress_of_what_takes_long(node, baton):
    seen = threading.Event()

    def slow(_):
        assert seen.wait(DEADLINE_S)
        return golden("status_healthy")

    node.answers[("GET", "/v1/status")] = slow
    screen = baton.on_terminal("status", typed=[("waiting for https://127.0.0.1:.* 1 s", seen.set)])
    assert "all is well" in screen
    assert baton("status").notes == ""


# ---- a stopped node ----


def test_doctor_of_a_stopped_node(node, baton, identity):
    make_folder(identity, "127.0.0.1:1")
    shown = baton("doctor", code=5)
    assert "batond is not running" in shown.out and "batond --data-dir" in shown.out
    checks = {check["name"]: check for check in json.loads(baton("doctor --json", code=5).out)["checks"]}
    assert checks["certificate"]["state"] == "warn"  # 9 days
    assert checks["files"]["state"] == "ok"
    assert checks["database"]["state"] == "fail"
    (identity / "node.key").chmod(0o444)
    shown = baton("doctor --json", code=5)
    (identity / "node.key").chmod(0o400)
    assert "others may read it" in shown.out
    assert node.faults({"$ref": "#/components/schemas/Doctor"}, json.loads(shown.out)) == []
    assert "no data directory '/nowhere'" in baton("doctor --data-dir /nowhere", code=5, folder=False).out


# ---- help, manual ----


def test_help_of_every_command(baton):
    overview = baton("--help", folder=False).out
    for name in re.findall(r"^  ([a-z][a-z -]*?)(?:  +\S|$)", overview.split("commands\n")[1].split("\n\n")[0], re.M):
        text = baton(f"{name} --help", folder=False).out
        assert text.startswith(f"usage: baton {name}")
        assert "\nexample\n  $ " in text
        assert max(map(len, text.splitlines())) <= 85  # examples are not broken
        assert baton(["help", *name.split()], folder=False).out == text
    baton("", code=2, folder=False)
    assert "did you mean 'baton help promote'?" in baton("help promot", code=2, folder=False).notes


@pytest.mark.parametrize("page", ["baton", "settings"])
def test_manual_page(baton, page):
    source = baton(f"help --man {page}", folder=False).out
    roff = subprocess.run(["scdoc"], input=source, capture_output=True, text=True, check=True).stdout
    warned = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=roff, capture_output=True, text=True, check=True)
    assert warned.stderr == ""
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", warned.stdout)
    if page == "baton":
        assert "EXIT STATUS" in text and "baton config set" in text and "--accept-data-loss" in text
    else:
        header = (ROOT / "sites/setting.h").read_text().split("enum setting_id")[0]
        for name in re.findall(r'^    X\(\w+, "([^"]+)"', header, re.M):
            assert name in text, name


def test_batond_manual_page():
    roff = subprocess.run(
        ["scdoc"], input=(ROOT / "docs/man/batond.8.scd").read_text(), capture_output=True, text=True, check=True
    ).stdout
    assert ".TH \"batond\" \"8\"" in roff


def test_golden_documents_are_there():
    assert len(list(GOLDEN.glob("cli_*.json"))) > 20
