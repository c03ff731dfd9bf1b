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
