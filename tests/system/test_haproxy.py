"""Driver haproxy end to end: clients go through a real HAProxy to real HTTPS servers while the primary moves."""
import pathlib
import time

import pytest

from agents import Agent
from cluster import until
from proxies import Askers, Clients, Haproxy, Instance, Knot, Nginx
from servers import Authority, free_port

DRAIN_MS = 2000  # longer than any one request takes on a busy machine
CHECK_MS = 300
WORK_MS = 40  # of an instance, for one request
ASKERS = 9
ENOUGH = 90  # answers, to see how they are spread
ADMIN_MAINT, ADMIN_DRAIN = 0x63, 0x18


@pytest.fixture(scope="module")
def company(folder, three):
    """Connector pam with a HAProxy that all nodes of this host share; west-1 uses the alternate server (P4)."""
    class Company:
        pass

    company = Company()
    company.authority = Authority(folder / "ca")
    port = free_port("127.0.0.1")
    company.main = Nginx(folder / "main", company.authority, "tcf-main", port)
    company.alternate = Nginx(folder / "alternate", company.authority, "tcf-alternate", free_port("127.0.0.1", port + 1))
    place = folder / "admin.sock"
    east = three.east_1
    assert east.put("activation.check_ms", CHECK_MS).status == 200
    document = {"main": company.main.document(), "alternate": company.alternate.document(),
                "probe": {"path": "/", "interval_ms": 1000, "timeout_ms": 1000},
                "activation": [{"driver": "haproxy", "socket": str(place), "drain_ms": DRAIN_MS}]}
    assert east.put("connector/pam", document).status == 200
    until("the connector is known", lambda: seen(east))
    company.port = free_port("127.0.0.1", port + 2)
    config = east.cli("connector", "haproxy-config", "--listen", "127.0.0.1:%d" % company.port,
                      "--instances", "0", "--hold", str(folder / "hold.lua")).stdout
    config = config.replace("/run/haproxy/baton.state", str(folder / "baton.state"))
    config = config.replace("log /dev/log local0", "log stdout format raw local0 err")
    company.haproxy = Haproxy(folder, config, place)
    company.clients = None
    try:
        yield company
    finally:
        if company.clients is not None:
            company.clients.stop()
        company.haproxy.stop()
        company.main.stop()
        company.alternate.stop()


def seen(node, connector="pam"):
    return next((entry for entry in node.status()["connectors"]
                 if entry["name"] == connector and entry["node"] == node.name), None)


def activated(node, server, connector="pam"):
    def done():
        entry = seen(node, connector)
        return entry["effective"] == server and entry["activation"]["state"] == "done"
    return until("%s has activated %s" % (node.name, server), done, 60)


def a_reload_keeps_who_was_let_in(folder, node, company):
    """As its head says, by the state file: the address of a place, too (decision 0028)."""
    folder.mkdir()
    config = node.cli("connector", "haproxy-config", "pam", "--mode", "http", "--certificate", str(folder / "both.pem"),
                      "--listen", "127.0.0.1:%d" % free_port("127.0.0.1", company.port + 1)).stdout
    assert "server-template instance 1-16 localhost:9 disabled " in config and " verify required ca-file @system-ca" in config
    certificate, key = company.authority.issue("proxy", "127.0.0.1")
    (folder / "both.pem").write_text(pathlib.Path(certificate).read_text() + pathlib.Path(key).read_text())
    for old, new in (("/run/haproxy/baton.state", folder / "state"), (company.haproxy.place, folder / "admin.sock"),
                     ("log /dev/log local0", "log stdout format raw local0 err")):
        config = config.replace(str(old), str(new))
    proxy = Haproxy(folder, config, folder / "admin.sock")
    try:
        proxy.start()
        proxy.say("set server pam/instance7 addr 192.0.2.7 port 8443;set server pam/instance7 state ready")
        (folder / "state").write_text(proxy.say("show servers state"))
        proxy.kill()
        proxy.start()
        assert proxy.servers("pam")["instance7"] == ("ready", "192.0.2.7", 8443)
        assert set(proxy.states("pam").values()) == {"ready", "maint"}
    finally:
        proxy.stop()


def test_the_configuration_is_ready_and_lets_nobody_in_before_baton(folder, three, company):
    """P5's other side: a HAProxy that was just started gives traffic to nobody; the driver then lets main in."""
    code, words = company.haproxy.check()
    assert code == 0, words
    assert "balance leastconn" in company.haproxy.config.read_text()
    east = three.east_1
    until("without a HAProxy it failed", lambda: seen(east)["activation"]["state"] == "failed")
    until("it says what to do", lambda: "start HAProxy with 'stats socket" in seen(east)["activation"]["text"])
    until("it is alarmed", lambda: any(alarm["name"] == "activation_failed" for alarm in east.status()["alarms"]))
    text = company.haproxy.config.read_text()
    assert text.count(" disabled\n") == 2
    company.haproxy.start()
    activated(east, "main")
    assert company.haproxy.servers("pam") == {"main": ("ready", "127.0.0.1", company.main.port),
                                              "alternate": ("maint", "127.0.0.1", company.alternate.port)}
    company.clients = Clients(company.authority, "127.0.0.1", company.port)
    company.clients.answered_by("tcf-main")
    a_reload_keeps_who_was_let_in(folder / "other", east, company)
    wrong = east.cli("connector", "haproxy-config", "--certificate", "/x.pem", check=False)
    assert wrong.returncode == 2 and "are for --mode http" in wrong.stderr
    unknown = east.cli("connector", "haproxy-config", "nope", check=False)
    assert unknown.returncode == 4, unknown.stderr


def test_no_client_fails_in_a_planned_switchover(three, company, record_property):
    """S11, P2, P3: with a grace nobody is cut, and who comes in the middle waits for the next server."""
    east, west = three.east_1, three.west_1
    west.cli("local", "set", "connector/pam/use_alternate_server", "true")
    until("west would use the alternate", lambda: seen(west)["would_use"] == "alternate" and seen(west)["latent_probe"]["ok"])
    clients, before = company.clients, len(company.clients.rows)
    three.promote("west", "--reason", "planned")
    activated(west, "alternate")
    clients.answered_by("tcf-alternate")
    until("the grace is over", lambda: company.haproxy.states("pam") == {"main": "maint", "alternate": "ready"}, 60)
    until("east uses none", lambda: seen(east)["effective"] == "none")
    count, failures, gap_ms = clients.report(before)
    print("switchover: %d answers, %d failed, %.1f ms without an answer" % (count, len(failures), gap_ms))
    record_property("gap_ms", gap_ms)
    assert not failures
    three.settled(k=1)


def test_a_failover_reaches_the_traffic_and_the_old_primary_undoes_nothing(three, company, record_property):
    """S47: when the old primary comes back it gives up what it had, and the later epoch's server stays in use."""
    east, west = three.east_1, three.west_1
    clients, before = company.clients, len(company.clients.rows)
    west.kill()
    three.promote("east-1", "--reason", "west burns", via=east)
    activated(east, "main")
    clients.answered_by("tcf-main")
    until("the grace is over", lambda: company.haproxy.states("pam") == {"main": "ready", "alternate": "maint"}, 60)
    count, failures, gap_ms = clients.report(before)
    print("failover: %d answers, %d failed, %.1f ms without an answer" % (count, len(failures), gap_ms))
    record_property("gap_ms", gap_ms)
    assert len(failures) <= len(clients.threads), failures  # who was still connected when the grace ended
    west.start()
    three.settled(k=1)
    until("the old primary has given up", lambda: seen(west)["activation"]["state"] == "done", 60)
    assert company.haproxy.states("pam") == {"main": "ready", "alternate": "maint"}
    count = len(clients.rows)
    clients.answered_by("tcf-main")
    assert not any(row[1] == "tcf-alternate" for row in clients.rows[count:])


def test_what_somebody_changes_is_put_right(three, company):
    """A server set by hand, then a HAProxy that is restarted: repaired, told, recorded."""
    east = three.primary()
    company.haproxy.say("set server pam/main state maint; set server pam/alternate state ready")
    until("it is put right", lambda: company.haproxy.states("pam") == {"main": "ready", "alternate": "maint"}, 60)
    repair = until("the repair is told", lambda: seen(east).get("repair"))
    assert repair["count"] >= 1 and "main was in maint" in repair["text"]
    assert any(alarm["name"] == "activation_repaired" for alarm in east.status()["alarms"])
    until("it is recorded", lambda: ["pam"] in [
        list(row) for row in east.sql("select doc ->> 'connector' from local.event where kind = 'repair'")])

    company.haproxy.kill()
    until("its absence is an alarm", lambda: seen(east)["activation"]["state"] == "failed", 60)
    company.haproxy.start()
    until("it has its state", lambda: company.haproxy.states("pam") == {"main": "ready", "alternate": "maint"}, 60)
    activated(east, "main")
    company.clients.answered_by("tcf-main")


def test_a_reload_keeps_what_baton_said(three, company, folder):
    """The head of the configuration promises it; nobody looks after it meanwhile, so nobody else can have put it right."""
    east = three.primary()
    repairs = seen(east)["repair"]["count"]
    before = company.haproxy.servers("pam")
    assert east.put("activation.check_ms", 0).status == 200
    company.haproxy.reload(folder / "baton.state")
    assert company.haproxy.servers("pam") == before
    count = len(company.clients.rows)
    company.clients.answered_by("tcf-main")
    assert not any(row[1] == "tcf-alternate" for row in company.clients.rows[count:])
    assert east.put("activation.check_ms", CHECK_MS).status == 200
    until("the node looks at it again", lambda: "type=str" in company.haproxy.say("get var proc.baton_pam"))
    assert (seen(east)["repair"]["count"], company.haproxy.servers("pam")) == (repairs, before)


def test_a_name_is_looked_after(three, company, folder):
    """Driver dns on a real name server: what somebody changes is put right, and a name server that was away is tried again."""
    east = three.primary()
    knot = Knot(folder / "knot", "127.0.0.1", free_port("127.0.0.1", company.port + 1))

    def entry():
        return next((one for one in east.status()["connectors"] if one["name"] == "named" and one["node"] == east.name), None)

    def is_so():
        mark, = knot.records("_baton.pam.example", "TXT")
        return knot.records("pam.example", "A") == ["192.0.2.1"] and mark.endswith(':%s:main"' % east.name)

    try:
        document = {"main": company.main.document(), "alternate": company.alternate.document(), "activation": [
            {"driver": "dns", "server": "127.0.0.1:%d" % knot.port, "zone": "example", "name": "pam.example", "type": "A",
             "main": "192.0.2.1", "alternate": "192.0.2.2", "key_file": str(knot.key_file)}]}
        assert east.put("connector/named", document).status == 200
        until("it is activated", lambda: entry()["activation"]["state"] == "done" and is_so())
        assert entry()["fencing"]["fenced"] is True
        knot.update("update delete pam.example. A", "update add pam.example. 30 A 192.0.2.9")
        repair = until("the repair is told", lambda: entry().get("repair"))
        assert repair["count"] == 1 and is_so()
        knot.stop()
        until("its absence is an alarm", lambda: [alarm for alarm in east.status()["alarms"]
                                                  if alarm["name"] == "activation_failed" and "named" in alarm["text"]])
        knot.start()
        until("it is well again", lambda: entry()["activation"]["state"] == "done" and is_so())
    finally:
        assert east.api("DELETE", "/v1/config/connector/named").status in (200, 404)
        knot.stop()


@pytest.fixture(scope="module")
def spread(folder, three, company):
    """Connector gate: three instances behind a HAProxy in mode http, where nobody else gets requests; and who asks."""
    class Spread:
        def say(self):
            return {name: row for name, row in self.haproxy.servers("gate").items() if row[0] != "maint"}

        def inside(self, *names):
            """The places of exactly these are ready."""
            ports = {self.instances[name].port for name in names}
            return {row[2] for row in self.say().values() if row[0] == "ready"} == ports

    spread = Spread()
    east = three.primary()
    place = folder / "gate.sock"
    document = {"main": company.main.document(), "alternate": company.alternate.document(), "probe": {"path": "/health"},
                "activation": [{"driver": "haproxy", "socket": str(place), "instances": "only", "drain_ms": DRAIN_MS}]}
    assert east.put("connector/gate", document).status == 200
    for key, value in (("instance.heartbeat_ms", 500), ("instance/gate/expected", 3)):
        assert east.put(key, value).status == 200, key
    spread.token = east.cli("connector", "token", "create", "gate").stdout.strip()
    port = free_port("127.0.0.1", company.port + 1)
    config = east.cli("connector", "haproxy-config", "gate", "--listen", "127.0.0.1:%d" % port, "--mode", "http",
                      "--instances", "4", "--server-ca", str(company.authority.folder / "ca.crt"),
                      "--hold", str(folder / "hold.lua")).stdout
    assert "retry-on conn-failure" in config and "balance leastconn" in config
    config = config.replace("/run/haproxy/baton.state", str(folder / "gate.state"))
    config = config.replace("log /dev/log local0", "log stdout format raw local0 err")
    (folder / "gate").mkdir()
    spread.haproxy = Haproxy(folder / "gate", config, place)
    code, words = spread.haproxy.check()
    assert code == 0, words
    spread.haproxy.start()
    spread.instances, spread.agents, spread.askers = {}, {}, None
    try:
        for name in ("a", "b", "c"):
            port = free_port("127.0.0.1", port + 1)
            spread.instances[name] = Instance(folder, company.authority, name, port, WORK_MS)
            spread.agents[name] = Agent(folder, spread.token, name, "1.7.0", spread.instances[name], connector="gate")
        until("all have a place", lambda: spread.inside("a", "b", "c"), 60)
        until("all of them answer HAProxy", lambda: "3 instances get requests" in seen(east, "gate")["activation"]["text"]
              and "down" not in seen(east, "gate")["activation"]["text"], 60)
        spread.askers = Askers("127.0.0.1", int(config.split("bind 127.0.0.1:")[1].split()[0]), ASKERS)
        yield spread
    finally:
        if spread.askers is not None:
            spread.askers.stop()
        spread.haproxy.stop()
        for agent in spread.agents.values():
            agent.__exit__()
        for instance in spread.instances.values():
            instance.kill()


def all_get_their_share(spread, *names):
    before = len(spread.askers.rows)
    until("%d answers" % ENOUGH, lambda: len(spread.askers.rows) >= before + ENOUGH, 120)
    shares = spread.askers.shares(before)
    assert set(shares) == set(names), shares
    assert min(shares.values()) > sum(shares.values()) / len(names) / 2, shares


def nothing_was_taken_twice(spread):
    taken = [name for instance in spread.instances.values() for name in instance.took()]
    assert len(taken) == len(set(taken))
    return set(taken)


def test_an_instance_that_dies_is_out_and_comes_back(three, company, spread, record_property):
    """A1, A10: all get requests; of one that is killed only what it was at work on fails, and nothing is done twice."""
    all_get_their_share(spread, "a", "b", "c")
    assert not spread.askers.failed()
    victim, place = spread.instances["b"], str(spread.instances["b"].port)
    victim.kill()
    killed = time.monotonic()

    def is_out():
        rows = [row for row in spread.haproxy.say("show servers state gate").splitlines() if place in row.split()]
        return all(row.split()[5] == "0" or int(row.split()[6]) & (ADMIN_MAINT | ADMIN_DRAIN) for row in rows)
    until("it is out", is_out, 60)
    out_ms = round((time.monotonic() - killed) * 1000)
    out = len(spread.askers.rows)
    until("the nodes know", lambda: spread.inside("a", "c"), 60)
    until("work goes on", lambda: len(spread.askers.rows) > out + ENOUGH, 120)
    failed = spread.askers.failed()
    print("killed: out after %d ms, %d of %d requests failed" % (out_ms, len(failed), len(spread.askers.rows)))
    record_property("out_ms", out_ms)
    assert len(failed) <= ASKERS, failed  # what it was at work on; nobody's who came later
    assert all(row[1] <= killed + out_ms / 1000 for row in failed), (killed, failed)
    nothing_was_taken_twice(spread)
    others = {name for who in ("a", "c") for name in spread.instances[who].took()}
    assert not others & {row[0] for row in failed}  # it was not asked again elsewhere
    victim.start()
    until("it is back", lambda: spread.inside("a", "b", "c"), 60)
    before = len(spread.askers.rows)
    until("it gets requests again", lambda: spread.askers.shares(before)["b"] > 0, 60)
    all_get_their_share(spread, "a", "b", "c")
    assert len(spread.askers.failed()) == len(failed)
    nothing_was_taken_twice(spread)


def test_no_request_fails_while_nodes_and_agents_come_and_go(three, company, spread):
    """A4, A10, S11, P2: an agent that is told to stop, a daemon that starts again, a switchover, a HAProxy made to forget."""
    east, west = three.primary(), three.west_1
    before = len(spread.askers.rows)
    assert spread.agents["c"].end() == 0
    until("c has no place", lambda: spread.inside("a", "b"), 60)
    east.kill("daemon")
    east.start()
    until("it acts again", lambda: three.primary() is east, 60)
    activated(east, "main", "gate")
    assert spread.inside("a", "b")  # who was not heard yet is not gone
    spread.agents["c"] = Agent(spread.instances["c"].notes.parent, spread.token, "c", "1.7.0", spread.instances["c"],
                               connector="gate")
    until("c is back", lambda: spread.inside("a", "b", "c"), 60)
    three.settled(k=1)
    three.promote("west", "--reason", "planned")
    activated(west, "main", "gate")
    until("west has let them in", lambda: spread.inside("a", "b", "c"), 60)
    all_get_their_share(spread, "a", "b", "c")
    assert not spread.askers.failed(before)
    nothing_was_taken_twice(spread)
    spread.haproxy.say("set server gate/instance1 state maint")
    until("it is put right", lambda: spread.inside("a", "b", "c"), 60)
    until("and told", lambda: "place of an instance was different" in seen(west, "gate")["repair"]["text"])
    assert west.api("DELETE", "/v1/config/connector/gate").status in (200, 204)
    until("nobody has a place", spread.inside, 60)


def test_connections_are_spread_where_tls_passes_through(folder, three, company, spread):
    """A1, A4, S11: --mode tcp; two places for three instances: who has none is an alarm until another one goes."""
    node, place, folder = three.primary(), folder / "wire.sock", folder / "wire"
    folder.mkdir()
    assert node.put("connector/wire", {"main": company.main.document(), "probe": {"path": "/health"}, "activation": [
        {"driver": "haproxy", "socket": str(place), "instances": "only", "drain_ms": DRAIN_MS}]}).status == 200
    token = node.cli("connector", "token", "create", "wire").stdout.strip()
    port = free_port("127.0.0.1", company.port + 1)
    config = node.cli("connector", "haproxy-config", "wire", "--listen", "127.0.0.1:%d" % port, "--instances", "2").stdout
    assert "mode tcp" in config
    config = config.replace("/run/haproxy/baton.state", str(folder / "state"))
    proxy = Haproxy(folder, config.replace("log /dev/log local0", "log stdout format raw local0 err"), place)
    agents, clients = {}, None

    def inside():
        ports = {row[2]: row[0] for row in proxy.servers("wire").values()}
        return {name for name, instance in spread.instances.items() if ports.get(instance.port) == "ready"}

    def alarms():
        return [alarm["text"] for alarm in node.status()["alarms"] if alarm["name"] == "instances_many"]

    def told(state):
        return "alarm name=instances_many state=%s " % state in node.log.read_text()

    def answer(*names):
        """Each of these, and nobody else."""
        before = len(clients.rows)
        until("%s answer" % (names,), lambda: set(names) <= {row[1] for row in clients.rows[before:]}, 60)
        assert {row[1] for row in clients.rows[before:]} <= {*names, None}

    try:
        proxy.start()
        for name in ("a", "b"):
            agents[name] = Agent(folder, token, name, "1.7.0", spread.instances[name], connector="wire")
        until("both have a place", lambda: inside() == {"a", "b"}, 60)
        assert not alarms()
        clients = Clients(company.authority, "127.0.0.1", port)
        answer("a", "b")
        agents["c"] = Agent(folder, token, "c", "1.7.0", spread.instances["c"], connector="wire")
        text, = until("it is an alarm", alarms, 60)
        assert text.startswith("connector wire: 3 instances take requests, and HAProxy has 2 places: 1 gets no requests"), text
        until("it is told", lambda: told("raised"))
        assert agents["a"].end() == 0
        until("c has its place", lambda: inside() == {"b", "c"}, 60)
        answer("b", "c")
        assert not clients.report(0)[1]
        until("it is over", lambda: told("over") and not alarms())
        spread.instances["b"].kill()
        answer("c")
        assert len(clients.report(0)[1]) <= len(clients.threads), clients.report(0)[1]  # whom it had taken
        nothing_was_taken_twice(spread)
    finally:
        if clients is not None:
            clients.stop()
        for agent in agents.values():
            agent.__exit__()
        proxy.stop()
    assert node.api("DELETE", "/v1/config/connector/wire").status in (200, 204)


def test_nothing_is_left(three, company):
    """Without the connector nothing is in use."""
    assert three.primary().api("DELETE", "/v1/config/connector/pam").status in (200, 204)
    until("both are out", lambda: company.haproxy.states("pam") == {"main": "maint", "alternate": "maint"}, 60)
