"""What a daemon leaves to its keeper when it is killed: its lease, given back once nothing of it acts any more."""
import base64
import contextlib
import json
import os
import shutil
import signal
import urllib.request

import pytest

from arbiters import ETCD
from cluster import until
from test_takeover import at_rest, epoch, set_keys, taken_over_by, world  # noqa: F401 (a fixture)
from writer import Writers

pytestmark = pytest.mark.skipif(ETCD is None, reason="etcd is not installed: apt-get install etcd-server")

# Whoever does not wait for the end of such a lease has been told that it is over.
LEASE = {"lease__ttl_ms": 60000}


def record(etcd):
    """What the arbiter knows, as it keeps it."""
    everything = json.dumps({"key": "AA==", "range_end": "AA=="}).encode()
    with urllib.request.urlopen(etcd.url + "/v3/kv/range", data=everything, timeout=5) as answer:
        pairs = {base64.b64decode(pair["key"]).decode(): base64.b64decode(pair["value"]).decode()
                 for pair in json.load(answer)["kvs"]}
    return json.loads(next(value for key, value in pairs.items() if key.endswith("/record")))


@pytest.fixture(scope="module")
def leased(world):  # noqa: F811
    world.cluster.west_1.cli("arbiter", "set", "etcd", "--endpoints", world.etcd.url, "--reason", "the third place is ready")
    at_rest(world, "east-2")
    set_keys(world.cluster, **LEASE)
    until("it is granted for so long", lambda: record(world.etcd)["lease_ms"] == LEASE["lease__ttl_ms"])
    return world


def kill_database_and_daemon(node):
    """Its keeper lives."""
    pids = node.pids("database") + [node.daemon()]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # a backend comes and goes
            os.kill(pid, signal.SIGKILL)


def test_who_starts_again_keeps_its_lease(leased):
    cluster, primary = leased.cluster, leased.cluster.primary()
    set_keys(cluster, takeover__delay_ms=20000)
    before = record(leased.etcd)
    died = primary.daemon()
    kill_database_and_daemon(primary)
    until("another one runs", lambda: primary.daemon() not in (None, died))
    until("it is primary again", lambda: primary.state() == "PRIMARY", 60)
    at_rest(leased)
    after = record(leased.etcd)
    assert (after["epoch"], after["holder"], after["released"]) == (before["epoch"], primary.name, False)
    assert after["grant"] > before["grant"] and "keeper.release" not in primary.log.read_text()
    set_keys(cluster, takeover__delay_ms=None)


def test_who_cannot_start_its_database_gives_it_back_and_takes_a_later_epoch(leased):
    """Here nobody may take over but the same node: as soon as its database is there again."""
    cluster, primary = leased.cluster, leased.cluster.primary()
    set_keys(cluster, takeover__within_site="manual")
    number = epoch(primary)
    control = primary.folder / "pg/data/global/pg_control"
    others = [node for node in cluster.nodes.values() if node is not primary]
    with Writers(cluster, others, "app/despair") as writers:
        until("writes flow", lambda: writers.count() > 30)
        control.rename(control.with_suffix(".away"))
        kill_database_and_daemon(primary)
        until("it is given back", lambda: record(leased.etcd)["released"], 50)
        assert record(leased.etcd)["epoch"] == number
        control.with_suffix(".away").rename(control)
        until("it is primary again", lambda: primary.state() == "PRIMARY", 60)
        before = writers.count()
        until("writes flow again", lambda: writers.count() > before + 30, 60)
    at_rest(leased)
    assert epoch(primary) == number + 1 == record(leased.etcd)["epoch"] and record(leased.etcd)["clean"]
    assert "keeper.released result=done" in primary.log.read_text()
    for node in cluster.nodes.values():
        assert writers.lost(node) == []
    set_keys(cluster, takeover__within_site=None)
    assert leased.nobody_acted_twice()


def test_who_is_not_started_again_gives_it_back(leased):
    """The daemon and its database are killed, and what the next one finds it refuses: its keeper ends, and says so first."""
    cluster, primary = leased.cluster, leased.cluster.primary()
    new = cluster.east_1 if primary is cluster.east_2 else cluster.east_2
    at_rest(leased, new.name)
    number = epoch(primary)
    data = primary.folder / "pg/data"
    others = [node for node in cluster.nodes.values() if node is not primary]
    with Writers(cluster, others, "app/refused") as writers:
        until("writes flow", lambda: writers.count() > 30)
        shutil.move(data, data.with_suffix(".away"))
        pids = [int((data.with_suffix(".away") / "postmaster.pid").read_text().split()[0]), primary.daemon()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert primary.process.wait(60) != 0
        primary.process = None
        taken_over_by(leased, new, 2 * LEASE["lease__ttl_ms"] / 1000)  # to the end of a lease that was promised
        before = writers.count()
        until("writes flow again", lambda: writers.count() > before + 30, 60)
    after = record(leased.etcd)
    assert (after["epoch"], after["holder"], after["clean"]) == (epoch(new), new.name, True) and epoch(new) > number
    assert "keeper.released result=done" in primary.log.read_text()
    shutil.move(data.with_suffix(".away"), data)
    primary.start()
    at_rest(leased, primary.name)
    for node in cluster.nodes.values():
        assert writers.lost(node) == []
    assert leased.nobody_acted_twice()
