"""A session plays its part of a switchover once, and takes all of it back."""
from pg import change, group, rows_from


def everything(node):
    tables = ["local.node", "shared.log", "shared.config", "local.config_base", "local.epoch_start", "local.setaside"]
    return [node.own("select to_jsonb(t) - 'changed_by' from %s t order by to_jsonb(t)::text" % name) for name in tables]


def test_nothing_is_left(make):
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    first.write([group(change("app/x", 1))])
    second.pull(first)
    listener = second.connect()
    listener.cursor().execute("listen baton_log")
    before = everything(second)
    for _ in range(2):
        assert second.value("rehearse") is True
        assert everything(second) == before
    listener.poll()
    assert listener.notifies == []
    assert not second.position()["is_primary"] and second.position()["promised_holder"] == "east-1"


def test_a_fresh_node_and_a_frozen_one_may_rehearse(make):
    node = make("east-1")
    assert node.value("rehearse") is True
    assert node.position()["promised"] == 0
    node.open(1)
    node.run("freeze")
    assert node.value("rehearse") is True
    assert node.position()["frozen"] and node.position()["promised"] == 1
    assert node.run("thaw", 1, "east-1")[0]["writable"]


def test_a_node_that_may_write_does_not_rehearse(primary):
    before = everything(primary)
    assert primary.value("rehearse") is False
    assert everything(primary) == before and primary.position()["writable"]


def test_the_same_session_then_does_it_for_real(make):
    """What the rehearsal compiled and left in the session does not change what follows."""
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    second.pull(first)
    assert second.value("rehearse") is True
    first.set("app/x", 1)
    second.run("catchup", rows_from(first))
    assert second.value("rehearse") is True
    assert second.open(2) == 3
    assert second.set("app/x", 2) == 4
    assert [row[0:2] for row in second.log()] == [(1, 1), (2, 1), (3, 2), (4, 2)]


def test_a_rehearsal_waits_for_no_standby(make):
    """The writer's connection has synchronous_commit=on; nobody acknowledges on a fenced node."""
    node = make("east-1")
    node.server.sync(["nobody"])
    cursor = node.connect("baton", "on").cursor()
    cursor.execute("select local.rehearse()")
    assert cursor.fetchone() == (True,)
    cursor.execute("show synchronous_commit")
    assert cursor.fetchone() == ("on",), "the session is as it was"


def test_an_apply_worker_rehearses_with_the_first_row_that_it_has_already(make):
    """As in a switchover to east-2: west-1 and the old primary hear from it what they know."""
    old, target, other = make("east-1"), make("east-2", which=1), make("west-1", which=2)
    old.open(1)
    for standby in (target, other):
        standby.attach(old)
    for node in (old, other):
        node.attach(target)
    for number in range(3):
        old.set("app/x", number)
    for node in (target, other):
        node.wait_applied(old.applied())
    assert old.write([group(change("app/x", 9))])["ok"], "the old one still is primary"
    for node in (target, other):
        node.wait_applied(old.applied())
        assert node.log() == old.log()
        assert "app/rehearsal" not in {key for _, key in node.config()}


def test_a_stream_is_rehearsed_to_its_end_on_a_standby_and_on_the_old_primary(make):
    standby, primary = make("east-1"), make("west-1", which=1)
    primary.open(1)
    standby.attach(primary)
    for node in (standby, primary):
        before = everything(node)
        session = node.connect("baton_owner", "local").cursor()
        session.execute("set session_replication_role = replica")
        session.execute("select local.rehearse_stream(), current_setting('baton.rehearsed')")
        assert session.fetchone() == (True, "1")
        assert everything(node) == before
