"""The witness grants one lease at a time (W1 to W7 of schema/witness), whatever two sessions do at once."""
import threading

import psycopg2
import pytest

from pg import ROOT, error_of, run, wait_until

CLUSTER = "6f0c7a3e-1111-4222-8333-444455556666"
LEASE_MS = 5000


@pytest.fixture(scope="module")
def durable(trio):
    """The servers of these tests do not sync, and the witness would refuse that (W3)."""
    server = trio[0]
    yield server
    server.sql("alter system reset fsync")
    server.sql("select pg_reload_conf()")


@pytest.fixture(scope="module")
def database(durable):
    # a server of one's own may sort as dictionaries do
    durable.sql("create database witness template template0 encoding 'UTF8' locale_provider icu"
                " icu_locale 'en-u-ka-shifted'")
    with durable.connect("witness") as owner:
        for path in sorted((ROOT / "schema/witness").glob("*.sql")):
            owner.cursor().execute(path.read_text())
    owner.close()
    durable.sql("alter role baton_witness login")
    yield durable
    durable.sql("drop database witness with (force)")
    durable.sql("drop role baton_witness")


class Witness:
    def __init__(self, server):
        self.server = server
        self.owner = server.connect("witness")
        self.open = [self.owner]
        self.node = self.session()

    def session(self):
        self.open.append(self.server.connect("witness", "baton_witness"))
        return self.open[-1]

    def own(self, text):
        cursor = self.owner.cursor()
        cursor.execute(text)
        return cursor.fetchall() if cursor.description else None

    def ask(self, what, number=None, holder=None, known=None, known_holder=None, adopt=False, session=None, grant=0,
            note=(0, "")):
        (row,) = run(session or self.node, "witness_ask", what, CLUSTER, number, holder, known, known_holder, LEASE_MS,
                     adopt, grant, *note)
        return row

    def expect(self, result, *words, **more):
        row = self.ask(*words, **more)
        assert row["result"] == result, row
        return row


@pytest.fixture
def witness(database):
    database.sql("alter system set fsync = on")
    database.sql("select pg_reload_conf()")
    witness = Witness(database)
    wait_until("fsync", lambda: witness.own("show fsync") == [("on",)])
    witness.own("truncate witness.lease")
    yield witness
    for session in witness.open:
        session.close()


def test_only_one_function_may_be_called(witness):
    for statement in ("select * from witness.lease", "update witness.lease set epoch = 1", "delete from witness.lease",
                      "insert into witness.access values (true, false)", "select * from witness.access",
                      "select witness.check_durable()", "select witness.check_caller('%s', 'a')" % CLUSTER,
                      "select witness.grant_lease('%s', 1, 'a', 1, true, 1, now())" % CLUSTER,
                      "select witness.found('%s', 1, 'a', 1, true, 0, '', now())" % CLUSTER,
                      "select * from witness.barred", "delete from witness.barred",
                      "select witness.bar('%s', '{}')" % CLUSTER, "select witness.look('%s', 'create', 0, '', true)" % CLUSTER,
                      "create table public.x ()", "create table witness.x ()", "alter table witness.lease disable trigger all",
                      "set session_replication_role = replica"):
        assert error_of(witness.node.cursor().execute, statement)[0] == "42501", statement


def test_a_call_without_sense_changes_nothing(witness):
    witness.expect("done", "create", 3, "east-1")
    for words in (("steal", 4, "west-1"), ("acquire", None, "west-1"), ("acquire", 4, None), (None, 4, "west-1")):
        assert error_of(witness.ask, *words)[0] == "BW005", words
    assert error_of(lambda: witness.ask("bar", 3, "east-1", note=(0, None)))[0] == "BW005"
    for words in (("create", 9, "west-1"), ("note", 3, "east-1")):
        for note in ((None, ""), (1, None)):
            assert error_of(lambda: witness.ask(*words, note=note, adopt=words[0] == "create"))[0] == "BW005", note
    assert error_of(lambda: witness.ask("note", 3, "east-1", note=(1, "\u00fc" * 2049)))[0] == "23514"
    assert error_of(lambda: witness.ask("create", 9, "No Name", adopt=True))[0] == "23514"
    assert error_of(lambda: witness.ask("create", 0, "east-1", adopt=True))[0] == "23514"
    assert witness.own("select epoch, holder from witness.lease") == [(3, "east-1")]


def test_a_generation_that_was_barred_stays_so(witness):
    """W7."""
    witness.own("truncate witness.barred")
    witness.expect("done", "create", 3, "east-1")
    for said in ('{"west-1": 3, "west-2": 2}', '{"west-1": 2}', '{"west-2": 4}', '{}'):
        witness.expect("done", "bar", 3, "east-1", note=(0, said))
    assert witness.own("select node, generation from witness.barred order by node") == [("west-1", 3), ("west-2", 4)]
    for said, state in (('{"No Name": 2}', "23514"), ('{"west-3": 1}', "23514"), ('{"west-3": "x"}', "22P02"),
                        ('[1]', "22023"), ('x', "22P02")):
        assert error_of(lambda: witness.ask("bar", 3, "east-1", note=(0, said)))[0] == state, said
    witness.expect("expired", "bar", 4, "west-1", note=(0, '{"east-1": 9}'))
    witness.own("update witness.lease set released = true")
    witness.expect("expired", "bar", 3, "east-1", note=(0, '{"east-1": 9}'))
    assert witness.own("select count(*) from witness.barred") == [(2,)]
    witness.own("truncate witness.barred")


def test_an_epoch_never_falls(witness):
    """W1, checked twice: by the function and by the table."""
    witness.expect("done", "create", 3, "east-1")
    for change in ("epoch = 2", "holder = 'east-0'", "epoch = 2, holder = 'west-1'", "cluster = gen_random_uuid()"):
        assert error_of(witness.own, "update witness.lease set " + change)[0] == "BW003", change
    witness.own("update witness.lease set epoch = 4, holder = 'a'")
    assert witness.expect("stale", "acquire", 3, "west-1")["epoch"] == 4
    witness.expect("granted", "acquire", 4, "a")
    for number, holder in ((4, "b"), (5, "a")):
        witness.own("update witness.lease set released = true")
        witness.expect("granted", "acquire", number, holder)


def test_what_was_released_is_not_granted_again(witness):
    """W8. An ACQUIRE that was long under way comes after the release."""
    witness.expect("done", "create", 3, "east-1")
    witness.expect("granted", "acquire", 3, "east-1")
    witness.expect("done", "release", 3, "east-1")
    assert witness.expect("expired", "acquire", 3, "east-1")["released"]
    assert witness.expect("granted", "acquire", 4, "east-1")["clean"]


def test_holders_compare_by_bytes(witness):
    """As everywhere else, and not as a dictionary would, which skips the '-'."""
    assert witness.own("select 'a-b' < 'aa', 'a-b' < 'aa' collate \"C\"") == [(False, True)]
    witness.expect("done", "create", 3, "a-b")
    witness.own("update witness.lease set released = true")
    witness.expect("granted", "acquire", 3, "aa")
    witness.own("update witness.lease set released = true")
    witness.expect("stale", "acquire", 3, "a-c")
    witness.expect("restored", "read", None, None, 3, "ab")
    adopted = witness.expect("done", "create", 3, "a-d", adopt=True)
    assert adopted["holder"] == "aa"


def refusal(action, *words):
    """SQLSTATE; None when there was no error."""
    try:
        action(*words)
        return None
    except psycopg2.Error as error:
        return error.pgcode


def waits(witness, session):
    return witness.own("select wait_event_type = 'Lock' from pg_stat_activity where pid = %d"
                       % session.info.backend_pid) == [(True,)]


def while_locked(witness, words, change):
    """Somebody has the row; the ask waits for it; then it is changed and let go. Returns the answer."""
    blocker, session = witness.server.connect("witness"), witness.session()
    answer = []
    blocker.autocommit = False
    cursor = blocker.cursor()
    cursor.execute("select from witness.lease for update")
    asking = threading.Thread(target=lambda: answer.append(witness.ask(*words, session=session)))
    asking.start()
    try:
        wait_until("it waits", lambda: waits(witness, session))
        cursor.execute(change)
        blocker.commit()
    finally:
        blocker.close()
        asking.join(20)
    return answer[0]


def test_the_clock_is_read_after_the_wait(witness):
    """W2: what ran out while it waited has run out, though it had not when it came."""
    witness.expect("done", "create", 3, "east-1")
    over = "update witness.lease set expires = clock_timestamp()"
    assert while_locked(witness, ("renew", 3, "east-1"), over)["result"] == "expired"
    witness.expect("granted", "acquire", 3, "east-1")
    assert while_locked(witness, ("acquire", 4, "west-1"), over)["result"] == "granted"
    # and a lease begins when it is granted
    assert witness.own("select expires > clock_timestamp() + '4 s'::interval from witness.lease") == [(True,)]


def test_who_waited_sees_what_was_done_meanwhile(witness):
    witness.expect("done", "create", 3, "east-1")
    taken = """update witness.lease set epoch = 5, holder = 'west-2',
        expires = clock_timestamp() + interval '1 minute'"""
    assert while_locked(witness, ("acquire", 4, "west-1"), taken)["result"] == "stale"
    assert while_locked(witness, ("renew", 5, "west-2"), "update witness.lease set released = true")["result"] == "expired"


def test_of_many_that_found_it_one_does(witness):
    """Two persons at once: the second is told that it is there."""
    first, second = witness.server.connect("witness", "baton_witness"), witness.session()
    answer = []
    first.autocommit = False
    assert witness.ask("create", 3, "east-1", session=first)["result"] == "done"
    asking = threading.Thread(target=lambda: answer.append(witness.ask("create", 9, "west-1", session=second)))
    asking.start()
    try:
        wait_until("it waits", lambda: waits(witness, second))
        first.commit()
    finally:
        first.close()
        asking.join(20)
    assert (answer[0]["result"], answer[0]["epoch"]) == ("exists", 3)


def test_a_commit_that_is_not_kept_is_no_grant(witness):
    """W3."""
    witness.expect("done", "create", 3, "east-1")
    hasty = witness.session()
    hasty.cursor().execute("set synchronous_commit = off")
    assert error_of(lambda: witness.ask("renew", 3, "east-1", session=hasty))[0] == "BW002"
    witness.server.sql("alter system set fsync = off")
    witness.server.sql("select pg_reload_conf()")
    wait_until("fsync", lambda: witness.own("show fsync") == [("off",)])
    wait_until("the session sees it", lambda: refusal(witness.ask, "renew", 3, "east-1") == "BW002")


def test_the_clock_that_was_seen_never_falls(witness):
    """W4: many small steps back are one large one."""
    witness.expect("done", "create", 3, "east-1")
    witness.own("update witness.lease set clock = clock_timestamp() + '0.9 s'::interval")
    (before,), = witness.own("select clock from witness.lease")
    witness.expect("granted", "renew", 3, "east-1")
    assert witness.own("select clock from witness.lease") == [(before,)]
    witness.own("update witness.lease set clock = clock_timestamp() + '1 hour'::interval")
    for words in (("renew", 3, "east-1"), ("acquire", 3, "east-1"), ("acquire", 4, "west-1"), ("release", 3, "east-1"),
                  ("read",)):
        assert error_of(witness.ask, *words)[0] == "BW001", words
    witness.expect("exists", "create", 3, "east-1")
    witness.expect("done", "create", 3, "east-1", adopt=True)
    witness.expect("granted", "renew", 3, "east-1")


def test_what_was_restored_grants_nothing(witness):
    """W5: and remembers the latest that it was told of."""
    witness.expect("done", "create", 3, "east-1")
    witness.expect("restored", "renew", 7, "west-1", 7, "west-1")
    witness.expect("restored", "read", None, None, 5, "west-1")
    assert witness.own("select suspect, suspect_holder from witness.lease") == [(7, "west-1")]
    for words in (("renew", 3, "east-1"), ("acquire", 9, "east-1"), ("release", 3, "east-1"), ("read",)):
        witness.expect("restored", *words)
    row = witness.expect("done", "create", 7, "west-1", adopt=True)
    assert (row["epoch"], row["holder"], row["released"]) == (7, "west-1", False)
    witness.expect("held", "acquire", 9, "east-1")


def test_a_note_waits_for_the_promise_and_sees_it(witness):
    """W6: a candidate has the row; the note of the primary comes behind it, and is refused."""
    witness.expect("done", "create", 3, "east-1")
    promised = "update witness.lease set promised = 4, promised_holder = 'west-1'"
    assert while_locked(witness, ("note", 3, "east-1"), promised)["result"] == "stale"
    witness.expect("done", "create", 3, "east-1", adopt=True)
    noted = "update witness.lease set number = 1, note = 'k=0'"
    told = while_locked(witness, ("promise", 4, "west-1"), noted)
    assert (told["result"], told["number"], told["note"]) == ("done", 1, "k=0")


def test_promises_compare_by_bytes(witness):
    witness.expect("done", "create", 3, "east-1")
    witness.expect("done", "promise", 4, "a-b")
    witness.expect("done", "promise", 4, "aa")
    witness.expect("stale", "promise", 4, "a-c")


def test_another_isolation_is_no_harm(witness):
    """A session of somebody's own making: it fails, or it sees the truth."""
    witness.expect("done", "create", 3, "east-1")
    old = witness.server.connect("witness", "baton_witness")
    old.autocommit = False
    old.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ)
    assert witness.ask("read", session=old)["result"] == "done"
    witness.expect("done", "release", 3, "east-1")
    witness.expect("granted", "acquire", 4, "west-1")
    assert error_of(lambda: witness.ask("renew", 3, "east-1", session=old))[0] == "40001"
    old.close()
