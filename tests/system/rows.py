"""The rows of the fault matrix (docs/faults.md) that have rounds of their own: what is broken, and what must hold.

A round begins and ends in peace (matrix.py). What holds for every row is looked at there: no acknowledged write lost,
the clients' history is that of one copy, no epoch with two primaries or two holders, no effect of an old epoch,
and all nodes alike again. A row says what is broken, how many promotions that may cost, and what else must be seen.
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

from cluster import Failed, until
from matrix import TTL_MS, log_of

ROWS = []


class Row:
    def __init__(self, run, number, count, limit_ms, promotions, reads):
        self.run, self.number, self.count, self.limit_ms = run, number, count, limit_ms
        self.promotions, self.reads = promotions, reads
        self.name = run.__name__


def row(number, count, limit_ms=None, promotions=None, reads=False):
    """'count': rounds of the full torture; 'limit_ms': recovery, p99. 'reads': the primary is nowhere cut off or asleep,
    so what it answers is never old."""
    def take(run):
        ROWS.append(Row(run, number, count, limit_ms, promotions, reads))
        return run
    return take


ONE, NONE, FEW = range(1, 2), range(0, 1), range(0, 2)


def need(condition, what):
    if not condition:
        raise Failed(what)


def some_other(world, rng, *nodes):
    return rng.choice(world.others(*nodes))


def strictly(world):
    """For this round a write that no standby has is not acknowledged, however long that takes."""
    primary = world.primary()
    primary.cli("config", "set", "durability", "strict")
    until("all know it", lambda: all(node.get("durability") == "strict" for node in world.nodes))
    world.undo.append(lambda: until("durability is as it was", lambda: world.primary().cli(
        "config", "delete", "durability").returncode == 0, 60))
    return primary


# ---- 1 to 3: processes

@row(1, 300, 8000, range(1, 3), reads=True)
def primary_killed(world, rng):
    old = world.primary()
    pids = old.pids()
    old.kill("both", pids)
    world.fault()
    world.taken_over(old)


@row(1, 300, 8000, range(0, 3), reads=True)
def daemon_killed(world, rng):
    """Its keeper starts it again, sooner than anybody may take over, unless the machine is busy."""
    primary = world.primary()
    died = primary.daemon()
    os.kill(died, signal.SIGKILL)
    world.fault()
    until("another one runs", lambda: primary.daemon() not in (None, died))


@row(1, 300, 8000, range(0, 3), reads=True)
def database_killed(world, rng):
    primary = world.primary()
    pids = primary.pids("database")
    primary.kill("database", pids)
    world.fault()


@row(2, 300, None, range(0, 3))
def daemon_stopped(world, rng):
    primary = world.primary()
    pids = [primary.daemon()]
    seconds = rng.uniform(0.1, 10)
    world.freeze(pids)
    world.fault()
    world.lasts(seconds)


@row(2, 300, None, range(1, 3))
def host_stopped(world, rng):
    """Daemon, keeper and database; it wakes up when another is primary, or long after."""
    old = world.primary()
    pids = old.pids()
    world.freeze(pids)
    world.fault()
    world.taken_over(old)
    world.lasts(rng.choice([0, 0, 5, 20]))


@row(3, 200)
def primary_database_stopped(world, rng):
    pids = world.primary().pids("database")
    world.freeze(pids)
    world.fault()
    world.lasts(rng.uniform(0.1, 5))


@row(3, 200, None, NONE)
def standby_databases_stopped(world, rng):
    """Nobody acknowledges, and nothing is taken over."""
    primary = strictly(world)
    pids = [pid for node in world.others(primary) for pid in node.pids("database")]
    world.freeze(pids)
    world.fault()
    moment = time.monotonic()
    reply = primary.put("app/stopped", "x")
    late = [stamp for call, stamp in zip(world.history.calls, world.history.stamps) if call > moment + 0.2]
    need(reply.status != 200 and not late, "acknowledged while both standbys stood still: %s" % reply.body)


# ---- 4 and 5: the network

@row(4, 200, 8000, range(1, 3))
def cut_from_all(world, rng):
    old = world.primary()
    world.cut(old.name)
    world.fault()
    world.taken_over(old)
    world.lasts(rng.choice([0, 3, 10]))


@row(4, 200, None, NONE)
def cut_from_arbiter(world, rng):
    """All members follow, so it goes on by their word, longer than any lease."""
    primary = world.primary()
    world.cut(primary.name, "arbiter")
    world.fault()
    until("it goes on by the members' word", lambda: primary.status()["arbiter"]["lease"]["state"] == "FAILSAFE")
    world.lasts(TTL_MS / 1000)
    need(primary.state() == "PRIMARY", "it stopped, though all members follow")
    world.flows()


@row(4, 200, None, FEW)
def cut_from_standbys(world, rng):
    """It renews its lease, so nobody takes over; nobody acknowledges either."""
    primary = strictly(world)
    world.cut(primary.name, *[node.name for node in world.others(primary)])
    world.fault()
    until("a write is not acknowledged", lambda: primary.put("app/cut", "x").status != 200)
    world.lasts(TTL_MS / 1000)
    need(all(node.state() != "PRIMARY" for node in world.others(primary)), "taken over from one that renews")


@row(4, 200, None, FEW)
def cut_from_standbys_and_alone(world, rng):
    """As it is by default beside an arbiter: the primary says that it goes on alone, and does."""
    primary = world.primary()
    world.cut(primary.name, *[node.name for node in world.others(primary)])
    world.fault()
    until("it goes on alone, and says so", lambda: primary.status()["durability"]["k"] == 0)
    world.flows()
    need(all(node.state() != "PRIMARY" for node in world.others(primary)), "taken over from one that renews")


def one_way(world, rng, outwards):
    primary = world.primary()
    world.fault()
    for name in [name for name in world.network.names if name != primary.name]:
        pair = (primary.name, name) if outwards else (name, primary.name)
        world.cut(*pair, both=False)
    world.lasts(rng.uniform(0.2, 8))


@row(5, 100, None, range(0, 3))
def cut_outwards(world, rng):
    one_way(world, rng, True)


@row(5, 100, None, range(0, 3))
def cut_inwards(world, rng):
    one_way(world, rng, False)


@row(5, 100, None, range(1, 3))
def link_down(world, rng):
    old = world.primary()
    world.network.link(old.name, "down")
    world.fault()
    until("another is primary", lambda: any(node.state() == "PRIMARY" for node in world.others(old)), 60)


@row(5, 100, None, FEW)
def connections_ended(world, rng):
    """Every connection between the databases of the members ends at once, again and again."""
    primary = world.primary()
    world.fault()
    for _ in range(5):
        for node in world.nodes:
            node.sql("select pg_terminate_backend(pid) from pg_stat_activity where backend_type in "
                     "('walsender', 'logical replication worker')")
        world.lasts(rng.uniform(0.05, 0.5))
    need(primary.state() == "PRIMARY", "a promotion without a cause")


@row(5, 100, None, range(0, 3))
def flapping(world, rng):
    name = world.primary().name
    world.fault()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        world.cut(name)
        world.lasts(rng.uniform(0.2, 3))
        world.mend()
        world.lasts(rng.uniform(0.2, 3))


# ---- 6 and 7: the arbiter

def goes_on(world, primary, epoch):
    until("it goes on by the members' word", lambda: primary.status()["arbiter"]["lease"]["state"] == "FAILSAFE")
    world.flows()
    need(primary.state() == "PRIMARY" and world.epoch() == epoch, "the primary changed without a cause")


@row(6, 50, None, NONE)
def arbiter_cut(world, rng):
    primary, epoch = world.primary(), world.epoch()
    world.cut("arbiter")
    world.fault()
    goes_on(world, primary, epoch)


@row(6, 50, None, NONE)
def arbiter_killed(world, rng):
    primary, epoch = world.primary(), world.epoch()
    world.etcd.stop()
    world.fault()
    goes_on(world, primary, epoch)


def adopted(world):
    """A person says that it is to be counted on again."""
    world.primary().cli("arbiter", "set", "etcd", "--endpoints", ",".join(world.etcd.urls), "--adopt", "--yes")


@row(6, 50, None, range(0, 2))
def arbiter_wiped(world, rng):
    """An empty arbiter is no free seat: nobody takes over, the primary goes on, and a person is asked for."""
    primary, epoch = world.primary(), world.epoch()
    world.fault()
    world.etcd.stop()
    world.etcd.wipe()
    world.etcd.start()
    until("it is told", lambda: [name for name in world.alarms(primary) if name.startswith("arbiter_")])
    goes_on(world, primary, epoch)
    adopted(world)


@row(6, 50, None, range(1, 3))
def arbiter_restored(world, rng):
    """From a copy that is older than the epoch: the same."""
    world.fault()
    world.etcd.stop()
    world.etcd.keep()
    world.etcd.start()
    world.ready()
    target = some_other(world, rng, world.primary())
    world.cluster.promote(target.name, "--reason", "drill", via=target)
    world.ready()
    epoch = world.epoch()
    world.fault()
    world.etcd.stop()
    world.etcd.restore()
    world.etcd.start()
    until("it is told", lambda: [name for name in world.alarms(target) if name.startswith("arbiter_")])
    goes_on(world, target, epoch)
    adopted(world)


@row(7, 50, None, FEW)
def arbiter_leader_stopped(world, rng):
    pids = [world.etcd.leader()]
    world.freeze(pids)
    world.fault()
    world.lasts(rng.uniform(0.5, 8))


@row(7, 50, None, FEW)
def arbiter_slow(world, rng):
    """All of it stands still for half of the time."""
    pids = world.etcd.pids()
    world.fault()
    for _ in range(8):
        world.freeze(pids)
        world.lasts(rng.uniform(0.05, 0.6))
        world.undo.pop()()
        world.lasts(rng.uniform(0.05, 0.6))


# ---- 8 to 13: promotions

STEPS = ["CAPTURING", "ARMING", "OPENING", "ACKNOWLEDGING"]


@row(8, 200, None, range(1, 6))
def candidate_killed_at_a_step(world, rng):
    """The primary is lost, and who takes over dies in the middle of it; it comes back, and somebody does it."""
    old = world.primary()
    step = rng.choice(STEPS)
    others = world.others(old)
    offsets = {node.name: node.log.stat().st_size for node in others}
    pids = {node.name: node.pids() for node in others}
    old.kill()
    world.fault()

    def begun():
        return next((node for node in others if " to=%s id=" % step in log_of(node, offsets[node.name])), None)
    victim = until("a failover comes to %s" % step, begun, 60, 0.001)
    victim.kill("both", pids[victim.name])
    victim.start()
    world.taken_over(old)


@row(9, 200, None, range(1, 4))
def two_promotions_at_once(world, rng):
    """One begins by itself when the primary dies, the other is a person's."""
    old = world.primary()
    target = some_other(world, rng, old)
    old.kill()
    world.fault()
    world.lasts(rng.uniform(0, 2))
    target.api("POST", "/v1/promote", {"target": target.name, "reason": "it died"})
    world.taken_over(old)


def blocked(world):
    """A write that waits for standbys that stand still; how to learn its end."""
    primary = world.primary()
    world.freeze([pid for node in world.others(primary) for pid in node.pids("database")])
    world.fault()
    until("a commit waits for the standbys", lambda: waiting(primary))
    return primary


def waiting(node):
    return [int(line[0]) for line in node.sql("select pid from pg_stat_activity where wait_event = 'SyncRep'")]


@row(10, 200, None, range(0, 4))
def killed_while_a_commit_waits(world, rng):
    strictly(world)  # one that went on alone before it dies, nobody may follow
    primary = blocked(world)
    primary.kill()
    world.undo.pop()()
    world.taken_over(primary)


@row(10, 200, None, range(0, 4))
def restarted_while_a_commit_waits(world, rng):
    primary = blocked(world)
    primary.kill("database")
    world.lasts(rng.uniform(0, 2))


@row(10, 200, None, range(0, 4))
def waiting_commit_cancelled(world, rng):
    primary = blocked(world)
    primary.sql("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
    world.lasts(rng.uniform(0, 1))


@row(10, 200, None, range(0, 4))
def waiting_commit_terminated(world, rng):
    primary = blocked(world)
    primary.sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
    world.lasts(rng.uniform(0, 1))


@row(11, 300, 8000, range(1, 4), reads=True)
def lagging_survivor(world, rng):
    """One standby is behind when the primary dies, and who takes over may be that one."""
    old = world.primary()
    late = some_other(world, rng, old)
    pids = [int(line[0]) for line in
            late.sql("select pid from pg_stat_activity where backend_type = 'logical replication worker'")]
    world.freeze(pids)
    world.lasts(rng.uniform(0.5, 3))
    world.flows()
    old.kill()
    world.fault()
    world.lasts(rng.choice([0, 0, 2]))
    world.undo.pop()()
    world.taken_over(old)


@row(12, 30, None, NONE, reads=True)
def slot_lost(world, rng):
    """The primary's slot of a standby is dropped; the standby comes back by itself."""
    primary = world.primary()
    node = some_other(world, rng, primary)
    slot = "baton_" + node.name.replace("-", "_")
    world.freeze(node.pids("database"))  # it would be back before the slot is gone
    primary.sql("select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = '%s'" % slot)
    primary.sql("select pg_drop_replication_slot('%s')" % slot)
    world.fault()


@row(13, 50, None, range(0, 3))
def long_transaction_on_the_candidate(world, rng):
    """A switchover finishes, or is given up in time; writes go on in either case."""
    old = world.primary()
    target = some_other(world, rng, old)
    session = target.sql_session("begin; create table pg_temp.long(x int);")
    try:
        world.fault()
        done = world.cluster.promote(target.name, "--reason", "drill", via=target, check=False)
        need(world.primary() is (target if done.returncode == 0 else old), "promote said %d" % done.returncode)
    finally:
        session.kill()
        session.wait()


# ---- 15 to 21: clocks, load, more than one

# not `faketime`, which stays between us and what it runs
FAKETIME = next(map(str, pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")


@row(15, 50, None, range(0, 4))
def clock_wrong(world, rng):
    """One node's wall clock is an hour ahead, or runs 5 % fast or slow, daemon and database."""
    node = rng.choice(world.nodes)
    how = rng.choice(["+1h", "+0 x1.05", "+0 x0.95", "+0.5s"])
    wrap = node.wrap
    world.fault()
    node.stop()
    node.wrap = [*wrap, "env", "LD_PRELOAD=" + FAKETIME, "FAKETIME=" + how]
    node.start()
    until("%s is up with a clock %s" % (node.name, how), lambda: node.state() in ("STANDBY", "PRIMARY"), 60)

    def undo():
        node.stop()
        node.wrap = wrap
        node.start()
        until("%s is up again" % node.name, lambda: node.state() in ("STANDBY", "PRIMARY"), 60)
    world.undo.append(undo)
    world.flows()
    world.lasts(rng.choice([0, TTL_MS / 1000]))


@row(16, 50, None, FEW)
def processor_taken(world, rng):
    """Four busy loops for each processor, for less than half of the lease."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * (os.cpu_count() or 1))]
    world.fault()
    world.lasts(TTL_MS / 2500)
    for loop in loops:
        loop.kill()
        loop.wait()


@row(18, 100, None, range(0, 3))
def two_of_three_lost(world, rng):
    """The third cannot know that it has all: it refuses, and says why. One comes back, and all goes on."""
    old = world.primary()
    first, last = rng.sample(world.others(old), 2)
    world.fault()
    gone = [(node, node.pids("both")) for node in rng.sample([old, first], 2)]
    for node, pids in gone:  # both at once: with one of them left, the third may rightly take over
        node.signal("both", signal.SIGKILL, pids)
    for node, pids in gone:
        node.kill("both", pids)
    world.lasts(TTL_MS / 1000)
    need(last.state() != "PRIMARY", "took over alone")
    answer = last.api("GET", "/v1/why?node=" + last.name).json["nodes"][0]["answer"]
    need(any(rule["verdict"] != "pass" for rule in answer["rules"]), "it says nothing against it: %s" % answer)
    done = world.cluster.promote(last.name, "--reason", "alone", via=last, check=False)
    need(done.returncode != 0, "promoted alone")


@row(19, 500, 1000, ONE, reads=True)
def switchover(world, rng):
    target = some_other(world, rng, world.primary())
    world.fault()
    world.cluster.promote(target.name, "--reason", "drill", via=target)


@row(21, 50, None, NONE, reads=True)
def large_writes(world, rng):
    """The largest value, and the most changes in one write."""
    primary = world.primary()
    world.fault()
    for number in range(4):
        reply = primary.put("app/large/%d" % number, rng.choice("xyz") * 250000)
        need(reply.status in (200, 504), reply.body)
        changes = [{"key": "app/many/%d" % one, "value": rng.random()} for one in range(1000)]
        reply = primary.api("POST", "/v1/config", {"changes": changes})
        need(reply.status in (200, 504), reply.body)
    head = primary.head()[0]
    for node in world.others(primary):
        until("%s has it" % node.name, lambda n=node: n.head()[0] >= head)
