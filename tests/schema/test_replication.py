"""Real logical replication between three servers: what may be acknowledged, and by whom."""
import json
import os
import random
import signal
import threading
import time

import psycopg2
import pytest

from pg import (apply_rows, change, delete, error_of, group, one, rows_from, slot_name, sub_name, wait_until)

NAMES = ["east-1", "west-1", "north-1"]


@pytest.fixture
def three(make):
    return [make(name, which=i) for i, name in enumerate(NAMES)]


class Writers:
    """Sessions of role baton that write one row after the other and note what was acknowledged (I4)."""

    def __init__(self, count, current):
        self.current = current  # a function: the node to write to, or None to pause
        self.acknowledged = []  # (revision, value); a write that warned is not among them
        self.unknown = 0
        self.ended = threading.Event()
        self.pids = set()
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def work(self, number):
        connections, count = {}, 0
        while not self.ended.is_set():
            node = self.current()
            try:
                if node not in connections:
                    connections[node] = node.server.connect(node.database, "baton")
                connection = connections[node]
                self.pids.add(connection.info.backend_pid)
                count += 1
                value = "%d-%d" % (number, count)
                answer = node.write([group(change("app/%d" % (count % 50), value))], connection)
                if connection.notices:
                    del connection.notices[:]
                    self.unknown += 1
                else:
                    self.acknowledged.append((answer["revision"], value))
            except psycopg2.Error as error:
                if error.pgcode not in ("25006", "40001", "57014"):
                    self.unknown += 1
                    connections.pop(node, None)

    def more(self, count):
        want = len(self.acknowledged) + count
        wait_until("%d acknowledged writes" % want, lambda: len(self.acknowledged) >= want)


def same(nodes):
    """All have the same log and the same state, to the byte."""
    head = max(node.applied() for node in nodes)
    for node in nodes:
        node.wait_applied(head)
    assert len({repr(node.log()) for node in nodes}) == 1
    assert len({repr(node.run("config_digest")) for node in nodes}) == 1
    assert nodes[0].config() == {(r["site"], r["key"]): r["value"] for r in nodes[0].run("config_at", head, "")}
    return head


def enable(node, publisher):
    node.own('alter subscription "%s" enable' % sub_name(publisher))


def blocked(node, pids):
    """How many of these sessions wait for standbys, or for one that does."""
    return node.own("select count(*) from pg_stat_activity where pid = any(%s) and "
                    "(wait_event = 'SyncRep' or wait_event_type = 'Lock')", list(pids))[0][0]


def capture_all(nodes, epoch, holder):
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(n.run("capture", epoch, holder)[0])) for n in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(row["granted"] for row in found)
    return max((row["applied_epoch"], row["applied_holder"], row["applied"]) for row in found)


def test_i5_nothing_is_acknowledged_beyond_the_capture(three, trio):
    """RELIABILITY E22: the primary lives and writes on; ANY 1 of 2, so a capture needs both. Afterwards the
    old primary sets aside what only it has, and all three are the same."""
    old, new, third = three
    old.open(1)
    for standby in (new, third):
        standby.attach(old)
    trio[0].sync([new.name, third.name])
    with Writers(8, lambda: old) as writers:
        writers.more(100)
        captured = capture_all([new, third], 2, new.name)
        wait_until("all writers are blocked", lambda: blocked(old, writers.pids) == 8)
        assert max(revision for revision, _ in writers.acknowledged) <= captured[2]
        assert error_of(old.run, "freeze")[0] == "55P03", "a switchover does not end a blocked commit"
        assert old.run("fence")[0]["is_primary"] is False  # a fence does: unknown to that client
        writers.ended.set()
    assert writers.unknown >= 1

    best = max((new, third), key=lambda node: node.position()["applied"])
    if best is not new:
        new.pull(best)
    new.detach_all()
    assert (new.position()["applied_epoch"], new.position()["applied"]) == (captured[0], captured[2])
    new.run("open", 2, new.name)
    new.set("epoch", {"number": 2})
    third.detach_all()
    third.attach(new)
    tail = old.applied()
    common = new.value("match", old.value("points", None, None))
    assert common == captured[2] < tail
    assert old.run("capture", 2, new.name)[0]["granted"]
    assert old.value("setaside_tail", common, 2, new.name) == tail - common
    old.run("slot_drop", slot_name(new))
    old.run("slot_drop", slot_name(third))
    old.attach(new)
    same(three)
    have = {row[0]: row[6] for row in new.log()}
    assert all(have[revision] == '"%s"' % value for revision, value in writers.acknowledged)
    (batch,) = old.run("setaside_list")
    assert (batch["rows"], batch["kept"], batch["first"]) == (tail - common, tail - common, common + 1)


def test_i5_capturing_one_standby_too_few_is_seen(three, trio):
    """The negative control of the test above: the standby that was left out goes on acknowledging."""
    old, new, third = three
    old.open(1)
    for standby in (new, third):
        standby.attach(old)
    trio[0].sync([new.name, third.name])
    with Writers(8, lambda: old) as writers:
        writers.more(100)
        captured = capture_all([new], 2, new.name)
        wait_until("acknowledged beyond the capture",
                   lambda: any(revision > captured[2] for revision, _ in writers.acknowledged))
        writers.ended.set()


def switch(source, target, members, epoch):
    last = source.run("freeze")[0]["applied"]
    target.wait_applied(last)
    capture_all(members, epoch, target.name)
    target.run("open", epoch, target.name)
    answer = target.write([group(change("epoch", {"number": epoch}))], target.connect())
    assert answer["txn"] == last + 1


def test_standing_mesh_switches_over_under_load(three, trio):
    """RELIABILITY E23: subscriptions in all six directions, every row comes twice to everybody; the third
    node is a little behind at each flip and gets the rest from the new primary's stream."""
    three[0].open(1)
    for subscriber in three:
        for publisher in three:
            if subscriber is not publisher:
                subscriber.attach(publisher)
    for i in range(3):
        trio[i].sync([name for j, name in enumerate(NAMES) if j != i])
    now = [three[0]]
    with Writers(4, lambda: now[0]) as writers:
        writers.more(50)
        for epoch in range(2, 8):
            target = three[(epoch - 1) % 3]
            switch(now[0], target, three, epoch)
            now[0] = target
            writers.more(30)
    head = same(three)
    have = {row[0]: row[6] for row in three[0].log()}
    assert all(have[revision] == '"%s"' % value for revision, value in writers.acknowledged)
    assert head - 7 == len(writers.acknowledged) and writers.unknown == 0
    for node in three:
        assert [s["running"] for s in node.run("subs")] == [True, True]


def test_i3_only_the_promised_one_streams_older_rows(three):
    """A standby behind its promise takes the missing rows from the node it promised to, from no other."""
    first, second, third = three
    first.open(1)
    second.attach(first)
    third.attach(first, enabled=False)
    third.attach(second, enabled=False)
    first.set("app/x", 1)
    second.wait_applied(2)
    capture_all([second, third], 2, second.name)
    enable(third, first)
    wait_until("refused", lambda: next(s for s in third.run("subs") if s["name"] == sub_name(first))["errors"] > 0)
    assert third.applied() == 1
    enable(third, second)
    third.wait_applied(2)


def test_i8_a_live_old_primary_gets_no_acknowledgement_for_a_fork(three, trio):
    """Its row has a revision that the standby has too, from the new primary: dropping it as a duplicate
    would acknowledge it."""
    old, new, third = three
    old.open(1)
    new.attach(old)
    third.attach(old)
    trio[0].sync([third.name])
    capture_all([new], 2, new.name)  # a capture too small: 'third' still follows the old primary
    new.detach_all()
    new.run("open", 2, new.name)
    new.set("epoch", {"number": 2})
    third.pull(new)
    with Writers(1, lambda: old) as writers:
        wait_until("the writer waits", lambda: writers.pids and blocked(old, writers.pids) == 1)
        wait_until("refused", lambda: third.run("subs")[0]["errors"] > 0)
        assert not writers.acknowledged
        old.run("fence")
        writers.ended.set()
    assert not writers.acknowledged and writers.unknown


def test_groups_arrive_whole(three):
    """A reader on a standby never sees a part of a write."""
    first, second, _ = three
    first.open(1)
    second.attach(first)
    seen = []
    stop = threading.Event()

    def look():
        connection = second.connect()
        while not stop.is_set():
            cursor = connection.cursor()
            cursor.execute("select txn, count(*) from shared.log where key like 'app/%' group by txn")
            seen.extend(cursor.fetchall())

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(20):
        assert first.write([group(*[change("app/%d" % i, number) for i in range(40)])])["ok"]
    second.wait_applied(801)
    stop.set()
    watcher.join()
    assert seen and {count for _, count in seen} == {40}


def test_every_transaction_wakes_listeners_on_every_node(three):
    """Once, with its first revision; from the apply worker and the pull, too."""
    first, second, third = three
    first.open(1)
    second.attach(first)
    listeners = [node.connect() for node in three]
    for listener in listeners:
        listener.cursor().execute("listen baton_log")
    answers = first.write([group(change("app/x", 1), change("app/y", 1)), group(change("app/z", 1))])
    third.pull(first)

    def heard(listener):
        listener.poll()
        return [(n.channel, n.payload) for n in listener.notifies]
    for listener, payload in zip(listeners, (answers[0]["txn"], answers[0]["txn"], third.applied())):
        wait_until("the notification", lambda: heard(listener))
        assert heard(listener) == [("baton_log", str(payload))]


def test_a_publisher_that_does_not_answer(three):
    first, second, _ = three
    assert error_of(second.run, "sub_attach", sub_name(first), "host=127.0.0.1 port=1 dbname=x connect_timeout=2",
                    slot_name(second), True)[0] == "08006"
    assert second.run("subs") == []


def test_duplicates_need_no_lock(primary, make):
    """With streams from everywhere most rows come again: they must not wait for the one that is writing."""
    standby = make("west-1", which=1)
    primary.set("app/x", 1)
    standby.pull(primary)
    holder = standby.connect("baton_owner")
    holder.autocommit = False
    holder.cursor().execute("select from local.node for update")
    standby.own("set lock_timeout = '1ms'")
    apply_rows(standby, rows_from(primary))
    holder.rollback()
    standby.own("reset lock_timeout")


def test_pitfall_2_subscriptions_commit_locally(three):
    first, second, _ = three
    second.attach(first)
    assert second.own("select subsynccommit, subslotname, subbinary, substream from pg_subscription where subdbid = "
                      "(select oid from pg_database where datname = current_database())") \
        == [("local", slot_name(second), False, False)]


def test_i12_no_slot_while_a_commit_waits(three, trio):
    first, second, _ = three
    first.open(1)
    trio[0].sync([second.name])
    with Writers(1, lambda: first) as writers:
        wait_until("the writer waits", lambda: writers.pids and blocked(first, writers.pids) == 1)
        assert error_of(first.run, "slot_make", slot_name(second))[:2] == ("55006", "slot_blocked")
        writers.ended.set()
        assert first.value("waiters_cancel") == 1
    assert writers.unknown and not writers.acknowledged
    first.run("slot_make", slot_name(second))


def test_slot_make_gives_up_on_a_long_transaction(primary):
    """It waits for every running write transaction of the server, so it is bounded; and it can be repeated."""
    other = primary.connect("baton_owner")
    other.autocommit = False
    other.cursor().execute("create table public.busy ()")  # never committed
    before = time.monotonic()
    assert error_of(primary.run, "slot_make", "baton_x")[0] == "55P03"
    assert 1.5 < time.monotonic() - before < 10
    assert primary.run("slots") == []
    other.rollback()
    primary.run("slot_make", "baton_x")
    assert error_of(primary.run, "slot_make", "baton_x")[0] == "42710"
    assert [s["name"] for s in primary.run("slots")] == ["baton_x"]
    assert primary.value("slot_drop", "baton_x") and not primary.value("slot_drop", "baton_x")


def test_foreign_slots_and_subscriptions_are_not_ours(primary):
    primary.own("select pg_create_logical_replication_slot('other_' || current_database(), 'pgoutput')")
    assert primary.run("slots") == []
    assert error_of(primary.run, "slot_drop", "other_x")[0] == "22023"
    assert error_of(primary.run, "sub_detach", "other")[0] == "22023"
    assert error_of(primary.run, "slot_make", "baton_X")[0] == "22023"


def test_slot_drop_ends_its_user(three):
    first, second, _ = three
    second.attach(first)
    assert first.run("slots")[0]["active"]
    assert first.value("slot_drop", slot_name(second)) is True
    assert first.run("slots") == []


def working(node):
    """Workers that still can do something here; one that only has to exit as a process does not count."""
    return node.own("select 1 from pg_locks l join pg_stat_activity a using (pid) where a.backend_type = "
                    "'logical replication worker' and a.datname = current_database() and l.relation is not null "
                    "union all select 1 from pg_stat_subscription where pid is not null and subname like 'baton%'")


def workers(node):
    return node.own("select pid from pg_stat_activity where backend_type = 'logical replication worker' "
                    "and datname = current_database()")


def test_pitfall_7_detach_returns_when_the_worker_is_gone(three):
    first, second, _ = three
    for _ in range(5):
        second.attach(first)
        assert workers(second)
        assert second.value("sub_detach", sub_name(first)) is True
        assert not working(second) and second.run("subs") == []
        wait_until("the process is gone", lambda: not workers(second))
        first.run("slot_drop", slot_name(second))
    assert second.value("sub_detach", sub_name(first)) is False


def test_detach_ends_a_worker_that_waits_for_the_lock(three):
    first, second, _ = three
    first.open(1)
    second.attach(first)
    holder = second.connect("baton_owner")
    holder.autocommit = False
    holder.cursor().execute("select from local.node for update")
    first.set("app/x", 1)
    wait_until("the worker waits", lambda: second.own(
        "select 1 from pg_stat_activity where backend_type = 'logical replication worker' and wait_event_type = 'Lock'"))
    assert second.value("sub_detach", sub_name(first)) is True
    assert not working(second)
    holder.rollback()
    assert second.applied() == 1


def test_detach_needs_no_publisher(three, trio):
    first, second, _ = three
    second.attach(first)
    trio[0].stop()
    try:
        assert second.value("sub_detach", sub_name(first)) is True
    finally:
        trio[0].start()
        first.control, first.owner = first.connect("baton", "local"), first.connect("baton_owner", "local")


def test_a_publisher_names_no_other_table(three):
    """The worker is a superuser: what a hostile publisher adds to its publication is refused."""
    first, second, _ = three
    for node in (first, second):
        node.spoilt = True
        node.own("create table public.more ()")
    first.own("alter publication baton add table public.more")
    assert error_of(second.attach, first)[:2] == ("42501", "publication")
    assert second.run("subs") == []


def test_pitfall_6_a_publication_holds_only_the_log_and_only_inserts(primary):
    assert primary.own("select schemaname, tablename from pg_publication_tables") == [("shared", "log")]
    assert primary.own("select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication") \
        == [(True, False, False, False)]


def test_capture_ends_a_worker_with_half_a_transaction(three):
    """The network goes in the middle of a transaction: the apply worker holds the lock and waits for the rest."""
    first, second, _ = three
    first.open(1)
    second.attach(first)
    sender = first.own("select pid from pg_stat_replication where application_name = %s", second.name)[0][0]
    big = "x" * 200_000
    first.own("begin")
    for i in range(60):
        first.own("insert into shared.log (key, value, author) values (%s, to_jsonb(%s::text), 'me')",
                  "app/%d" % i, big)
    first.own("commit")
    wait_until("the worker holds the lock", lambda: second.own(
        "select 1 from pg_locks l join pg_stat_activity a using (pid) where relation = 'local.node'::regclass "
        "and mode = 'RowExclusiveLock' and backend_type = 'logical replication worker'"))
    os.kill(sender, signal.SIGSTOP)
    try:
        if second.applied() > 1:
            pytest.skip("the whole transaction had come before the sender was stopped")
        (row,) = second.run("capture", 2, second.name)
        assert row["granted"] and row["applied"] == 1
    finally:
        os.kill(sender, signal.SIGCONT)
    assert second.applied() == 1


def test_capture_and_fence_end_an_idle_writer(primary):
    """Somebody began with psql, wrote, and went to lunch: 200 ms later the transaction is over."""
    person = primary.connect("baton_owner")
    person.autocommit = False
    person.cursor().execute("select shared.set('app/x', '1')")
    assert error_of(primary.run, "freeze")[0] == "55P03", "a switchover does not end it, it goes back"
    assert primary.position()["frozen"] is False
    (row,) = primary.run("capture", 2, "west-1")
    assert row["granted"] and row["was_primary"] and row["applied"] == 1
    assert error_of(person.cursor().execute, "commit")[0] in ("57P01", None)
    assert primary.applied() == 1


def test_a_write_transaction_must_not_stand_idle(primary):
    person = primary.connect("baton_owner", "off")
    person.autocommit = False
    cursor = person.cursor()
    cursor.execute("select shared.set('app/x', '1')")
    assert [one(person, "show " + name) for name in ("synchronous_commit", "idle_in_transaction_session_timeout")] \
        == ["on", "5s"]
    person.commit()
    assert one(person, "show synchronous_commit") == "off"


def test_standbys_tell_role_and_slot_beside_the_name(three):
    """Pitfall 18: any replication client can take a name that is counted."""
    first, second, _ = three
    first.open(1)
    second.attach(first)
    (row,) = first.run("standbys")
    assert (row["name"], row["role"], row["slot"], row["state"]) \
        == (second.name, "baton_owner", slot_name(second), "streaming")
    first.set("app/x", 1)
    second.wait_applied(2)
    wait_until("no lag", lambda: first.run("standbys")[0]["lag_bytes"] == 0)
    (now,) = first.run("commit_waits")
    assert now["waited_ms"] == 0
    wait_until("it has all of that", lambda: first.run("standbys")[0]["flushed"] >= now["flushed"])


def test_a_commit_that_waits_is_seen(three, trio):
    """Also when it is a person's, and for as long as it waits."""
    first, second, _ = three
    first.open(1)
    second.attach(first)
    trio[0].sync([second.name])
    second.own('alter subscription "%s" disable' % sub_name(first))
    wait_until("nobody receives", lambda: first.run("standbys") == [])
    with Writers(1, lambda: first) as writers:
        wait_until("it waits", lambda: first.run("commit_waits")[0]["waited_ms"] > 100)
        early = first.run("commit_waits")[0]["waited_ms"]
        wait_until("longer", lambda: first.run("commit_waits")[0]["waited_ms"] > early + 100)
        enable(second, first)
        writers.more(1)
        writers.ended.set()
    wait_until("no more", lambda: first.run("commit_waits")[0]["waited_ms"] == 0)


def test_config_has_the_newest_row_of_each_key(three):
    """However the rows of a transaction follow each other, by a stream and by a pull; made once for all of them."""
    first, second, third = three
    first.open(1)
    second.attach(first)
    chance = random.Random(7)
    for _ in range(30):
        groups = []
        for _ in range(chance.randrange(1, 20)):
            key = "app/%d" % chance.randrange(6)
            groups.append(group(change(key, chance.randrange(99)) if chance.random() < 0.6 else delete(key)))
        answers = first.write(groups)
        assert all(answer["ok"] for answer in (answers if len(groups) > 1 else [answers]))
    third.pull(first)
    same([first, second, third])
    newest = {}
    for row in first.log():
        newest[row[4], row[5]] = row[6]
    assert {place: json.dumps(value) for place, value in first.config().items() if place[1] != "epoch"} \
        == {place: value for place, value in newest.items() if value is not None and place[1] != "epoch"}


def test_deletions_and_json_null_arrive_as_such(three):
    first, second, _ = three
    first.open(1)
    second.attach(first)
    first.write([group(change("app/n", None), change("app/d", 1, site="west"))])
    first.write([group(delete("app/d", site="west"))])
    same([first, second])
    assert second.config()[("", "app/n")] is None and ("west", "app/d") not in second.config()


