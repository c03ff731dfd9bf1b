"""A pair of two nodes without an arbiter: what SAP's master and shadow do, and where theirs goes wrong (S, docs/decisions/0018)."""
import ctypes
import http.client
import http.server
import json
import signal
import ssl
import threading
import time

import jsonschema
import pytest

from cluster import PG_PORT, PORT, Failed, until
from guarded import Guarded
from network import NetworkCluster, ip, why_not
from servers import Authority, Server
from test_routes import API, Events

CLONE_NEWNET = 0x40000000
SETTINGS = (("takeover.across_sites", "unguarded"), ("takeover.cooldown_ms", "0"), ("takeover.per_hour_max", "60"),
            ("digest.interval_ms", "1000"), ("peer.poll_ms", "500"), ("peer.timeout_ms", "1000"),
            ("peer.stale_ms", "2000"), ("write.hold_ms", "1000"))


@pytest.fixture(scope="module")
def pair(folder):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with NetworkCluster(folder / "pair", name="pair") as cluster:
        cluster.init("east-1", "east")
        for key, value in SETTINGS:
            cluster.east_1.cli("config", "set", key, value)
        cluster.join("west-1", "west")
        cluster.settled(k=0)
        yield cluster


@pytest.fixture(scope="module")
def company(pair, folder):
    """A connector server that both reach."""
    server = Server(Authority(folder / "ca"), "tcf", pair.network.prefix + ".254")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def guarded(pair, folder):
    """One that refuses an epoch that is over."""
    server = Guarded(folder / "guarded", pair.network.prefix + ".254", pair.east_1.status()["cluster"]["id"])
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_connectors(pair):
    """What a test that failed left of its connectors must not fail the next one."""
    yield
    primary = until("somebody is primary", pair.primary)
    for name in {entry["name"] for entry in primary.status()["connectors"]}:
        primary.cli("config", "delete", "connector/" + name, check=False)


def connector(node, name):
    return next(entry for entry in node.status()["connectors"] if (entry["name"], entry["node"]) == (name, node.name))


def roles(cluster):
    primary = until("somebody is primary", cluster.primary)
    other, = [node for node in cluster.nodes.values() if node is not primary]
    return primary, other


def epoch(node):
    return node.status()["primary"]["epoch"]


def alarms(node):
    return {alarm["name"]: alarm["text"] for alarm in node.status()["alarms"]}


def told(stream, name):
    """What /v1/events told of an alarm: raised, over."""
    data = [json.loads(event["data"]) for event in list(stream.events) if event["event"] == "alarm"]
    for document in data:
        jsonschema.validate(document, {"components": API["components"], **API["components"]["schemas"]["EventAlarm"]})
    return [document["state"] for document in data if document["name"] == name]


def why(node):
    """The rules of a takeover by the node, as it judges them now."""
    other, = [one for one in node.cluster.nodes.values() if one is not node]
    reply = node.api("GET", "/v1/peer/why", context=other.context())
    if reply.status != 200:
        raise Failed("%s: %d %s" % (node.name, reply.status, reply.body))
    return reply.json, {rule["name"]: rule for rule in reply.json["rules"]}


def may_take_over(node):
    """Everything but the evidence is there; else nothing would show what a test does not want to see."""
    until("%s could take over" % node.name, lambda: {name for name, rule in why(node)[1].items()
                                                     if rule["verdict"] != "pass"} <= {"evidence"}
          and "evidence" in why(node)[1])


def test_two_primaries_end_when_they_meet_and_nothing_is_lost(pair, guarded):
    """S47: both write while they are cut off from one another; the earlier one yields, by itself, and keeps what only
    it has. S45: that they miss each other is alarmed meanwhile, and told once when it is over, with how long. Who sees
    that both are primary alarms it as long as it is so. A connector server with a gate hears the later one alone."""
    old, new = roles(pair)
    before = epoch(old)
    old.put("app/both", "old")
    assert old.put("connector/hook", guarded.document()).status == 200
    until("the server hears the primary", lambda: connector(old, "hook")["activation"]["state"] == "done")
    assert {(body["node"], body["kind"]) for body in guarded.posted} == {(old.name, "activate")}
    until("and has proved that it is fenced", lambda: connector(old, "hook")["fencing"] == {
        "fenced": True, "server": True, "text": "fenced at the resource"})
    until("the other one has probed it", lambda: connector(new, "hook")["latent_probe"]["ok"])
    may_take_over(new)
    began = {node: len(node.log.read_text()) for node in (old, new)}
    stream = None
    pair.network.cut(old.name)
    try:
        until("the other takes over", lambda: new.state() == "PRIMARY")
        assert old.state() == "PRIMARY"
        assert old.put("app/only-old", "precious").status == 200 and old.put("app/both", "old again").status == 200
        assert new.put("app/only-new", "precious").status == 200 and new.put("app/both", "new").status == 200
        for node in (old, new):
            until("%s misses the other" % node.name, lambda n=node: "member_silent" in alarms(n))
        until("the server hears the new one", lambda: connector(new, "hook")["activation"]["state"] == "done", 60)
        assert guarded.posted[-1]["node"] == new.name and guarded.epoch() == "%(number)d/%(holder)s" % epoch(new)
        count = len(guarded.posted)
        assert old.put("connector/hook", guarded.document(target_connectors=["a"])).status == 200
        refused = until("and not the old one", lambda: connector(old, "hook")["activation"]["state"] == "failed" and
                        connector(old, "hook")["activation"])
        assert refused["epoch"] == before and "has seen epoch %s" % guarded.epoch() in refused["text"]
        until("nor its probes", lambda: "refuses our" in connector(old, "hook")["probe"]["text"])
        assert new.put("connector/hook", guarded.document(target_connectors=["b"])).status == 200
        until("the new one goes on", lambda: len(guarded.posted) > count)
        assert {body["node"] for body in guarded.posted[count:]} == {new.name}
        # the new one gets answers again, the old one gets none: it cannot know yet
        stream = Events(new)
        pair.network.let_ask(new.name, old.name)
        until("who sees both alarms it", lambda: "%s and %s are both primary" % (new.name, old.name) in
              alarms(new)["two_primaries"])
        until("and shows it", lambda: {node["name"]: node["role"] for node in new.status()["nodes"]} ==
              {old.name: "primary", new.name: "primary"})
        until("and tells it", lambda: told(stream, "two_primaries")[-1:] == ["raised"])
        assert "two_primaries" not in alarms(old) and "member_silent" in alarms(old)
        assert {node["name"]: node["role"] for node in old.status()["nodes"]}[new.name] != "primary"
    finally:
        pair.network.mend()
    until("the former one yields", lambda: old.state() == "STANDBY", 60)
    pair.settled(k=0)
    assert pair.primary() is new and epoch(new)["number"] > before["number"]
    assert [node.get("app/both") for node in (old, new)] == ["new", "new"]
    assert old.get("app/only-new") == "precious" and new.get("app/only-old") is None
    batch = json.loads(old.cli("setaside", "list", "--json").stdout)["batches"][0]
    assert batch["kept"] >= 2 and "app/only-old" in old.cli("setaside", "show", batch["id"]).stdout
    until("it is alarmed", lambda: "setaside" in alarms(old))

    def logged(node, name):
        return [line for line in node.log.read_text()[began[node]:].splitlines() if " alarm name=%s " % name in line]
    def states(node, name):
        return [line.split(" state=")[1].split()[0] for line in logged(node, name)]

    def once_each(states):
        """Raised, and over, and perhaps again: on a busy machine one may be silent for a moment."""
        return len(states) >= 2 and states == ["raised", "over"] * (len(states) // 2)
    until("it is told that it is over", lambda: once_each(states(old, "member_silent")))
    assert all(int(line.split("for_ms=")[1].split()[0]) > 0 for line in logged(old, "member_silent") if " state=over " in line)
    until("and so are two primaries", lambda: once_each(told(stream, "two_primaries")))
    assert once_each(states(new, "two_primaries"))
    assert "two_primaries" not in alarms(new) and logged(old, "two_primaries") == []
    stream.close()
    old.cli("setaside", "apply", batch["id"], "--yes", "--reason", "we want it")
    until("nothing is lost", lambda: new.get("app/only-old") == "precious")
    new.cli("config", "delete", "connector/hook")
    until("the server is given up", lambda: guarded.posted[-1]["kind"] == "deactivate")
    assert {body["node"] for body in guarded.posted[count:]} == {new.name}


def test_the_old_primary_asks_before_it_does_anything(pair):
    """S48, S46: killed, replaced, and started again it is a standby; it never wrote in between."""
    old, new = roles(pair)
    pair.settled(k=0)
    may_take_over(new)
    old.kill()
    until("the other takes over", lambda: new.state() == "PRIMARY")
    assert new.put("app/after", 1).status == 200
    old.start()
    until("it is a standby", lambda: old.state() == "STANDBY", 60)
    pair.settled(k=0)
    assert pair.primary() is new and " PRIMARY " not in old.log.read_text().rsplit("batond.starting", 1)[-1]


def test_an_old_primary_that_reaches_nobody_stays_fenced(pair):
    """S84: the new primary cannot be reached when the old one starts. It does not go on by itself; when they meet the
    new one is primary. S81: and one of them is."""
    old, new = roles(pair)
    pair.settled(k=0)
    may_take_over(new)
    old.kill()
    until("the other takes over", lambda: new.state() == "PRIMARY")
    assert new.put("app/ours", "new").status == 200
    new.kill()
    old.start()
    until("its database was asked", lambda: old.settled_fenced())
    reply = old.put("app/ours", "old")
    assert reply.status in (503, 504) and reply.json["title"], reply.body
    assert old.state() == "FENCED" and "fenced" in alarms(old)
    new.start()
    pair.settled(k=0)
    assert pair.primary() is new and old.get("app/ours") == "new"


def test_a_server_that_fails_moves_no_role(pair, company):
    """S82: what is beside the pair (there LDAP, here a connector server) is alarmed and switches nothing. S46, S49:
    who does not reach it does not take over, by itself or by a person, and does when it answers again."""
    old, new = roles(pair)
    before = epoch(old)
    document = {"main": company.document(), "probe": {"path": "/health", "interval_ms": 500, "timeout_ms": 500},
                "target_connectors": ["x"], "activation": []}
    assert old.put("connector/pam", document).status == 200
    until("both look at it", lambda: [(entry["probe"] or entry["latent_probe"])["ok"]
                                      for entry in old.status()["connectors"]] == [True, True])
    may_take_over(new)
    company.healthy = False
    for node in (old, new):
        until("%s alarms it" % node.name, lambda n=node: "server_unreachable" in alarms(n))
    until("and would not take over", lambda: why(new)[1]["connectors"]["verdict"] == "fail" and
          "pam" in why(new)[1]["connectors"]["text"])
    refused = pair.promote(new.name, "--reason", "a try", via=old, check=False)
    assert refused.returncode != 0 and "connectors" in refused.stdout + refused.stderr
    assert pair.primary() is old and epoch(old) == before
    old.kill()
    until("it knows that the primary is gone", lambda: why(new)[1]["evidence"]["verdict"] == "pass")
    assert why(new)[0]["decision"] == "never" and why(new)[0]["because"] == "connectors"
    assert new.state() == "STANDBY"
    company.healthy = True
    until("it takes over", lambda: new.state() == "PRIMARY")
    old.start()
    pair.settled(k=0)
    pair.primary().cli("config", "delete", "connector/pam")


def test_an_answer_that_refuses_is_no_silence(pair):
    """S83: an error in answer to a member's question is no reason to take over, whatever it says."""
    old, new = roles(pair)
    pair.settled(k=0)
    may_take_over(new)

    class Refuses(http.server.BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            type(self).asked += 1
            body = b'{"type":"about:blank","title":"no","status":403,"kind":"denied","code":"denied","detail":"no"}'
            self.send_response(403)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.folder / "node.crt", old.folder / "node.key")
    # cut off while the other one takes its place, so that there is no moment at which nobody listens
    new.cli("local", "set", "check.takeover_delay_ms", "20000")
    pair.network.cut(old.name)
    old.kill()
    server = in_space(pair, old, lambda: http.server.ThreadingHTTPServer((old.address, PORT), Refuses))
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    pair.network.mend()
    try:
        until("it meets the refusal", lambda: Refuses.asked and why(new)[1]["evidence"]["verdict"] == "fail")
        new.cli("local", "delete", "check.takeover_delay_ms")
        before = Refuses.asked
        until("it was asked often", lambda: Refuses.asked > before + 30)  # ten times a second
        assert new.state() == "STANDBY" and why(new)[1]["evidence"]["verdict"] == "fail", why(new)
        until("it is told", lambda: "member_silent" in alarms(new))
        until("so is why", lambda: [node["reason"] for node in new.status()["nodes"] if node["name"] == old.name] != [""])
    finally:
        server.shutdown()
        server.server_close()
    until("nobody listens any more, so it takes over", lambda: new.state() == "PRIMARY")
    old.start()
    pair.settled(k=0)


def in_space(cluster, node, make):
    """Runs make() in a thread that is in the node's network; the sockets it makes stay there."""
    made = []

    def enter():
        with open("/run/netns/" + cluster.network._space(node.name)) as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


def test_running_calls_hold_no_switch_up(pair):
    """S88, S87, S50: a stream, half a request and an open transaction are there; the switch does not wait for them, and
    a connection that was open before goes on to work."""
    old, new = roles(pair)
    pair.settled(k=0)
    context = old.context()
    kept = http.client.HTTPSConnection(old.address, PORT, context=context, timeout=20)
    stream = http.client.HTTPSConnection(old.address, PORT, context=context, timeout=20)
    half = http.client.HTTPSConnection(old.address, PORT, context=context, timeout=20)
    stream.request("GET", "/v1/events")
    assert stream.getresponse().status == 200
    half.putrequest("PUT", "/v1/config/app/half")
    half.putheader("Content-Type", "application/json")
    half.putheader("Content-Length", "1000")
    half.endheaders(b'{"value": ')
    kept.request("GET", "/v1/status")
    kept.getresponse().read()
    started = time.monotonic()
    pair.promote(new.name, "--reason", "calls are under way")
    assert time.monotonic() - started < 25, "half a request may take 30 s"
    for value in range(3):
        kept.request("PUT", "/v1/config/app/kept", json.dumps({"value": value}),
                     {"Content-Type": "application/json"})
        reply = kept.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
    for client in (kept, stream, half):
        client.close()
    pair.settled(k=0)
    assert pair.primary() is new


# ---- who is let in

def token(node, *words, site="west"):
    return json.loads(node.cli("token", "create", "--site", site, "--ttl", "10m", "--json", *words).stdout)["token"]


def try_join(cluster, text, name):
    node = cluster._node(name, "west")
    done = node.cli("join", text, "--node", name, *cluster._where(node), check=False)
    del cluster.nodes[name]
    return done, node


def test_a_token_may_be_for_one_host(pair):
    """S23: S10: another host is refused, before anything is made there, and both are named."""
    old, _ = roles(pair)
    done, node = try_join(pair, token(old, "--host", "west-9.example"), "west-8")
    assert done.returncode == 3 and not node.folder.exists(), done.stderr
    assert "'west-9.example'" in done.stderr and "'%s'" % node.address in done.stderr and "mend:" in done.stderr
    refused = old.cli("token", "create", "--site", "west", "--host", "a b", check=False)
    assert refused.returncode == 2 and "'a b'" in refused.stderr, refused.stderr
    assert "west-9.example" in old.cli("token", "list").stdout


def test_a_join_that_fails_says_why(pair):
    """S89: nobody there, or no token: the message names what was tried."""
    old, _ = roles(pair)
    made = token(old)
    pair.settled(k=0)
    node = pair._node("west-7", "west")
    del pair.nodes["west-7"]
    ip("-n", pair.network._space("west-7"), "link", "set", "eth0", "down")
    done = node.cli("join", made, "--node", "west-7", *pair._where(node), check=False)
    assert done.returncode != 0 and str(PORT) in done.stderr and "mend:" in done.stderr, done.stderr
    done, _ = try_join(pair, "baton1.x", "west-5")
    assert done.returncode == 2 and "no join token" in done.stderr, done.stderr


def test_a_pair_takes_one_standby(pair):
    """S42: a second is declined while the first is there. S7: and let in when it was lost for three of its check
    intervals; it takes the place of the lost one, which is refused from then on. S80: whatever part of the
    configuration has arrived, who says that it is a standby has all of it."""
    old, lost = roles(pair)
    pair.settled(k=0)
    old.cli("config", "set", "members.mode", "pair")
    changes = [{"site": "", "key": "app/much/%d" % number, "value": "x" * 20000} for number in range(60)]
    for first in range(0, 60, 20):
        assert old.api("POST", "/v1/config", {"reason": "much", "changes": changes[first:first + 20]}).status == 200
    pair.settled(k=0)
    done, _ = try_join(pair, token(old), "west-6")
    assert done.returncode == 5 and lost.name in done.stderr and "is lost after" in done.stderr, done.stderr
    assert "west-6" not in old.cli("node", "list").stdout
    lost.kill()
    node = pair._node("west-2", "west")
    text = token(old)

    def joined():
        return node.cli("join", text, "--node", "west-2", *pair._where(node), check=False).returncode == 0
    until("it takes the place of the lost one", joined, 60)
    node.start()

    def whole():
        if node.state() != "STANDBY":
            return False
        assert node.sql("select count(*) from shared.config where key like 'app/much/%'") == [["60"]]
        return True
    until("it is a standby", whole, 60)
    assert sorted(entry["name"] for entry in old.status()["nodes"]) == sorted([old.name, "west-2"])
    lost.start()
    until("the lost one is refused", lambda: "'%s' was removed" % lost.name in str(lost.status()["nodes"]))
    assert lost.state() == "FENCED"
    lost.stop()
    del pair.nodes[lost.name]
    pair.settled(k=0)


def test_each_node_has_its_own_check_times(pair):
    """S1, S2: S12: a local setting of the standby, that wins there over the cluster's, and that the primary shows."""
    old, new = roles(pair)
    new.cli("local", "set", "check.interval_ms", "250")
    new.cli("local", "set", "check.takeover_delay_ms", "1500")

    def shown(node):
        return {entry["name"]: (entry["check_interval_ms"], entry["takeover_delay_ms"])
                for entry in node.status()["nodes"]}
    for node in (old, new):
        until("%s shows both" % node.name, lambda n=node: shown(n) == {old.name: (500, 500), new.name: (250, 1500)})
    # S5: what does not fit into peer.stale_ms is refused, whichever is changed, on whichever node; the fault names both
    refused = new.cli("local", "set", "check.interval_ms", "501", check=False)
    assert refused.returncode == 2 and "peer.stale_ms" in refused.stderr and "at most 500" in refused.stderr, refused.stderr
    new.cli("local", "set", "check.interval_ms", "500")
    until("the other one was told", lambda: shown(old)[new.name] == (500, 1500))
    assert old.put("peer.poll_ms", 100).status == 200
    refused = old.cli("config", "set", "peer.stale_ms", "1800", check=False)
    assert refused.returncode == 2 and "check.interval_ms of %s: 500 ms" % new.name in refused.stderr, refused.stderr
    assert old.put("peer.poll_ms", 500).status == 200
    # psql passes no bounds: it is named wherever times are judged
    new.sql("select local.set('check.interval_ms', '501', 'by hand')")
    assert "check.interval_ms: 501 ms" in until(
        "it is told", lambda: (text := new.cli("budget").stdout) and "check.interval_ms" in text and text)
    assert "check.interval_ms: 501 ms" in new.cli("check", "timeouts", check=False).stdout
    new.cli("local", "delete", "check.interval_ms")
    new.cli("local", "delete", "check.takeover_delay_ms")
    until("the cluster's hold again", lambda: shown(old)[new.name] == (500, 500))


def test_a_local_setting_holds_at_once_or_is_refused(pair, company):
    """S90: none is taken and then passed over. Before there is an alternate the flag is refused; once it is taken it
    holds, at once, and for a connector that is changed afterwards."""
    old, new = roles(pair)
    flag = "connector/drill/use_alternate_server"
    refused = new.cli("local", "set", flag, "true", check=False)
    assert refused.returncode == 5 and "'drill'" in refused.stderr and "mend:" in refused.stderr, refused.stderr
    document = {"main": {"url": "https://%s.254:9" % pair.network.prefix}, "alternate": company.document(),
                "target_connectors": ["x"], "activation": [],
                "probe": {"path": "/health", "interval_ms": 500, "timeout_ms": 500}}
    reply = old.put("connector/drill", document)
    assert reply.status == 200, reply.body
    until("it has arrived", lambda: new.get("connector/drill"))
    new.cli("local", "set", flag, "true")
    assert old.put("connector/drill", {**document, "target_connectors": ["x", "y"]}).status == 200

    def shown(member):
        return [entry[member] for entry in new.status()["connectors"] if entry["node"] == new.name]
    until("it would use the alternate", lambda: shown("would_use") == ["alternate"] and shown("latent_probe")[0]["ok"])
    pair.promote(new.name, "--reason", "a drill")
    until("and does", lambda: shown("effective") == ["alternate"])
    new.cli("config", "delete", "connector/drill")
    pair.settled(k=0)
