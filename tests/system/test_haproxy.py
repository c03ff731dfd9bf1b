"""Driver haproxy end to end: clients go through a real HAProxy to real HTTPS servers while the primary moves."""
import pytest

from cluster import until
from proxies import Clients, Haproxy, Nginx
from servers import Authority, free_port

DRAIN_MS = 2000  # longer than any one request takes on a busy machine
CHECK_MS = 300


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
                      "--hold", str(folder / "hold.lua")).stdout
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


def seen(node):
    return next((entry for entry in node.status()["connectors"]
                 if entry["name"] == "pam" and entry["node"] == node.name), None)


def activated(node, server):
    def done():
        entry = seen(node)
        return entry["effective"] == server and entry["activation"]["state"] == "done"
    return until("%s has activated %s" % (node.name, server), done, 60)


def test_the_configuration_is_ready_and_lets_nobody_in_before_baton(three, company):
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


def test_nothing_is_left(three, company):
    """Without the connector nothing is in use."""
    assert three.primary().api("DELETE", "/v1/config/connector/pam").status in (200, 204)
    until("both are out", lambda: company.haproxy.states("pam") == {"main": "maint", "alternate": "maint"}, 60)
