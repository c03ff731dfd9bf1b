"""Rehearsals warm a session up and leave nothing behind."""
import select

from pg import change, group, wait_until

TABLES = ("local.node", "local.epoch_start", "local.setaside", "local.event", "local.setting", "shared.log",
          "shared.config", "local.config_base")


def everything(node):
    return {table: node.own("select t::text from %s t order by 1" % table) for table in TABLES}


def notified(connection):
    select.select([connection], [], [], 0)
    connection.poll()
    return [notify.payload for notify in connection.notifies]


def test_a_standby_plays_the_primary_and_stays_a_standby(make):
    node = make("east-1")
    node.open(1)
    node.run("capture", 2, "west-1")
    listener = node.connect("baton")
    listener.cursor().execute("listen baton_log")
    before = everything(node)
    assert node.value("rehearse") is True
    assert node.value("rehearse") is True, "twice in a session"
    assert everything(node) == before
    node.own("select pg_notify('baton_log', 'the end')")
    wait_until("the notification", lambda: notified(listener))
    assert notified(listener) == ["the end"]


def test_a_new_node_rehearses_too(make):
    node = make("east-1")
    before = everything(node)
    assert node.value("rehearse") is True
    assert everything(node) == before


def test_who_may_write_does_not_rehearse(primary):
    before = everything(primary)
    assert primary.value("rehearse") is False
    assert everything(primary) == before


def test_a_rehearsal_waits_for_no_standby(make):
    """The writer's connection has synchronous_commit=on; nobody acknowledges on a fenced node."""
    node = make("east-1")
    node.server.sync(["nobody"])
    writer = node.connect("baton", "on")
    cursor = writer.cursor()
    cursor.execute("select local.rehearse()")
    assert cursor.fetchone() == (True,)
    cursor.execute("show synchronous_commit")
    assert cursor.fetchone() == ("on",), "only the rehearsal itself"


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


def test_the_stream_is_rehearsed_to_its_end_on_a_standby_and_on_the_old_primary(make):
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
