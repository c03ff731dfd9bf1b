"""The rules of the gate of shared.log, each as a check that a planted fault must fail.

A check gets a primary and a standby that has the primary's first rows, and leaves both as they were.
"""
import copy
import json

from pg import apply_rows, change, delete, error_of, group, rows_from, run

STANDBY_HAS = 3


def stage(make):
    """east-1 with the rows 1..6, west-1 with 1..3 of them."""
    primary, standby = make("east-1"), make("west-1")
    primary.open(1)
    primary.write([group(change("app/a", 1, site="east"), change("app/b", None), author="alice", reason="why")])
    primary.write([group(change("app/a", {"n": 1.50}))])
    primary.write([group(delete("app/b"))])
    primary.write([group(change("app/c", "three"))])
    standby.run("catchup", rows_from(primary)[:STANDBY_HAS])
    return primary, standby


def forge(node, epoch, holder, key="app/forged", value=1):
    """A row that follows ours in number and hash, whoever it claims to be from."""
    row = {"epoch": epoch, "holder": holder, "site": "", "key": key, "value": value, "author": "mallory",
           "at": 1_700_000_000_000_000}
    ((row["revision"], row["hash"]),) = node.own(
        "select h.revision + 1, encode(local.log_hash(h.hash, h.revision + 1, %s, %s, h.revision + 1, '', %s, %s, "
        "'mallory', timestamptz 'epoch' + %s * interval '1 microsecond', null), 'hex') from local.head h",
        epoch, holder, key, json.dumps(value), row["at"])
    row["txn"] = row["revision"]
    return row


def unchanged(node, action, *arguments):
    """The error of an action, which must leave the node as it was."""
    before = node.log(), node.config(), node.position()
    error = error_of(action, *arguments)
    assert (node.log(), node.config(), node.position()) == before
    return error


def insert(node, text):
    return unchanged(node, node.own, "insert into shared.log " + text)


def gap(primary, standby):
    rows = rows_from(primary)
    for bring in (apply_rows, lambda node, some: node.run("catchup", some)):
        assert unchanged(standby, bring, standby, rows[STANDBY_HAS + 1:])[:2] == ("BT001", "gap")


def hash_chain(primary, standby):
    """I7: no field of a row can be altered on its way, nor its neighbours."""
    good = rows_from(primary)[STANDBY_HAS]
    assert good["key"] == "app/a"
    for field, value in (("value", {"n": 1.51}), ("value", {"n": "1.5"}), ("key", "app/A"), ("site", "a"),
                         ("author", "root@east-2"), ("at", good["at"] + 1), ("reason", ""), ("txn", 1),
                         ("delete", True), ("epoch", 2), ("holder", "east-2"), ("hash", "00" * 32)):
        bad = copy.deepcopy(good)
        bad[field] = value
        assert unchanged(standby, apply_rows, standby, [bad])[:2] == ("BT004", "hash"), field


def hash_unambiguous(primary, standby):
    """Texts that run together differently, null and a deletion, have different hashes."""
    def digest(site, key, value, author, reason):
        ((hash_,),) = primary.own("select local.log_hash('', 1, 1, 'h', 1, %s, %s, %s, %s, '2026-01-01Z', %s)",
                                  site, key, value, author, reason)
        return bytes(hash_)
    rows = [("", "ab", "1", "c", None), ("a", "b", "1", "c", None), ("", "a", "1", "bc", None),
            ("", "ab", None, "c", None), ("", "ab", "null", "c", None), ("", "ab", '"null"', "c", None),
            ("", "ab", "1", "c", ""), ("", "ab", "1", "c", "-"), ("", "ab", "1", "c1:-", None),
            ("", "ab", "1", "c", "1:-"), ("", "a", '"b1:1"', "c", None), ("", "é", "1", "c", None),
            ("", "e", "1", "c", "\u0301")]
    assert len({digest(*row) for row in rows}) == len(rows)


def duplicate(primary, standby):
    rows = rows_from(primary)[:STANDBY_HAS]
    before = standby.log(), standby.config(), standby.position()
    apply_rows(standby, rows)
    standby.run("catchup", rows)
    assert (standby.log(), standby.config(), standby.position()) == before


def fork(primary, standby):
    """I8: another row under a revision that we have is never dropped, for the drop is acknowledged."""
    other = rows_from(primary)[STANDBY_HAS - 1]
    other["hash"] = "11" * 32
    assert unchanged(standby, apply_rows, standby, [other])[:2] == ("BT008", "fork")
    assert unchanged(standby, standby.run, "catchup", [other])[:2] == ("BT008", "fork")


def promised(primary, standby):
    """I3: after the promise no stream brings an older epoch; the pull may."""
    cursor = standby.owner.cursor()
    row = rows_from(primary)[STANDBY_HAS]
    cursor.execute("begin")
    try:
        run(standby.owner, "capture", 5, "west-1")
        cursor.execute("savepoint before; set local session_replication_role = replica")
        code = error_of(cursor.execute, "insert into shared.log select * from json_populate_record("
                        "null::shared.log, %s)", (json.dumps({**row, "at": None}),))[0]
        assert code == "BT003", code
        cursor.execute("rollback to before")
        run(standby.owner, "catchup", [row])
    finally:
        cursor.execute("rollback")


def stale_epoch(primary, standby):
    row = forge(standby, 0, "zebra")
    assert unchanged(standby, apply_rows, standby, [row])[0] == "BT003", "what we have is promised, too"
    assert unchanged(standby, standby.run, "catchup", [row])[:2] == ("BT002", "stale_epoch")
    row = forge(standby, 1, "east-0")
    assert unchanged(standby, standby.run, "catchup", [row])[0] == "BT002", "pairs, not numbers"


def promise_by_row(primary, standby):
    """A row of an epoch proves that it was granted: a lower one gets no promise afterwards."""
    cursor = standby.owner.cursor()
    row = forge(standby, 7, "north-1", "epoch")
    cursor.execute("begin; set local session_replication_role = replica")
    try:
        cursor.execute("insert into shared.log (revision, epoch, holder, txn, key, value, author, at, hash) values "
                       "(%s, 7, 'north-1', %s, 'epoch', '1', 'mallory', timestamptz 'epoch' + %s * interval "
                       "'1 microsecond', decode(%s, 'hex'))", (row["revision"], row["txn"], row["at"], row["hash"]))
        assert not run(standby.owner, "capture", 6, "zebra")[0]["granted"]
        assert not run(standby.owner, "capture", 7, "aaa")[0]["granted"]
        assert run(standby.owner, "capture", 7, "north-2")[0]["granted"]
    finally:
        cursor.execute("rollback")


def capture_order(primary, standby):
    """I3: pairs are compared by number, then by the holder's bytes; the same candidate may ask again."""
    cursor = standby.owner.cursor()
    cursor.execute("begin")
    try:
        def granted(epoch, holder):
            row = run(standby.owner, "capture", epoch, holder)[0]
            return row["granted"], row["again"], (row["promised"], row["promised_holder"])
        assert granted(3, "b") == (True, False, (3, "b"))
        assert granted(3, "b") == (True, True, (3, "b"))
        assert granted(3, "a") == (False, False, (3, "b"))
        assert granted(2, "z") == (False, False, (3, "b"))
        assert granted(3, "b-1") == (True, False, (3, "b-1")), "bytes, not a language's order"
        assert granted(10, "a") == (True, False, (10, "a"))
    finally:
        cursor.execute("rollback")


def primary_takes_none(primary, standby):
    row = forge(primary, 9, "west-1", "epoch")
    assert unchanged(primary, apply_rows, primary, [row])[:2] == ("BT009", "primary")
    assert unchanged(primary, primary.run, "catchup", [row])[:2] == ("BT009", "primary")


def refuses_writes(node):
    for write in (lambda: node.write([group(change("app/x", 1))]),
                  lambda: node.own("insert into shared.log (key, value, author) values ('app/x', '1', 'me')"),
                  lambda: node.own("select shared.set('app/x', '1')")):
        assert unchanged(node, write)[:2] == ("25006", "fenced")


def standby_refuses(primary, standby):
    refuses_writes(standby)


def frozen_refuses(primary, standby):
    primary.run("freeze")
    try:
        refuses_writes(primary)
    finally:
        assert primary.run("thaw", 1, "east-1")
    assert primary.position()["writable"]


def restarted_refuses(primary, standby):
    """I11: a PostgreSQL that was restarted after the opening is fenced, whatever its row says."""
    primary.own("update local.node set opened_pg = opened_pg - interval '1 s'")
    try:
        assert primary.position()["is_primary"] and not primary.position()["writable"]
        refuses_writes(primary)
    finally:
        assert primary.run("resume", 1, "east-1")


def old_epoch_refused(primary, standby):
    assert insert(primary, "(epoch, key, value, author) values (0, 'app/x', '1', 'me')")[0] == "BT002"
    assert insert(primary, "(holder, key, value, author) values ('west-1', 'app/x', '1', 'me')")[0] == "BT002"
    assert insert(primary, "(revision, key, value, author) values (99, 'app/x', '1', 'me')")[0] == "BT001"


def keys_refused(primary, standby):
    for key, code in (("connector/pam/use_alternate_server", "BT005"), ("nonsense", "BT005"), ("app//x", "BT005"),
                      ("connector/pam/nonsense", "BT005"), ("app/" + "x" * 252, "BT006"), ("", "BT006")):
        assert insert(primary, "(key, value, author) values ('%s', '1', 'me')" % key)[0] == code, key
    assert insert(primary, "(key, value, author, site) values ('epoch', '1', 'me', 'east')")[0] == "BT005"
    assert insert(primary, "(key, value, author) values ('app/x', to_jsonb(repeat('x', 262143)), 'me')")[0] == "BT006"


def immutable(primary, standby):
    for node in (primary, standby):
        for text in ("update shared.log set value = '2'", "delete from shared.log", "truncate shared.log",
                     "update shared.config set value = '2'", "delete from shared.config", "truncate shared.config",
                     "insert into shared.config values ('', 'app/x', '1', 1, 1, 'me', now())",
                     "update local.node set promised = 0", "update local.node set name = 'other'",
                     "delete from local.node", "truncate local.node", "delete from local.config_base"):
            assert unchanged(node, node.own, text)[0] == "BT007", text


def epoch_row_first(primary, standby):
    """A new epoch's first row says so; nobody slips in between the opening and that row."""
    cursor = standby.owner.cursor()
    cursor.execute("begin")
    try:
        run(standby.owner, "capture", 2, "west-1")
        run(standby.owner, "open", 2, "west-1")
        cursor.execute("savepoint before")
        assert error_of(cursor.execute, "select shared.set('app/x', '1')")[0] == "25006"
        cursor.execute("rollback to before")
        answer = run(standby.owner, "write", [group(change("epoch", {})), group(change("app/x", 1))])[0]["answer"]
        assert [g["ok"] for g in answer["groups"]] == [True, True]
    finally:
        cursor.execute("rollback")


def forged_head(primary, standby):
    """What a row leaves for the next one of its transaction cannot be left by others."""
    plant = "select set_config('baton.' || %s, pg_current_xact_id() || %s, true)"
    text = json.dumps([group(change("app/x", 1))])
    for user, write in (("baton", "select shared.write('%s')" % text), ("baton_owner", "select shared.set('app/x', '1')")):
        connection = primary.connect(user, "local")
        cursor = connection.cursor()
        cursor.execute("begin")
        cursor.execute(plant, ("log_head", " 900 1 east-1 " + "00" * 32))
        cursor.execute(plant, ("log_config", " 900"))
        try:
            cursor.execute(write)
            cursor.execute("select max(l.revision), max(c.revision) from shared.log l, shared.config c where c.key = 'app/x'")
            assert cursor.fetchone() == (primary.applied() + 1,) * 2
        finally:
            cursor.execute("rollback")
    connection = standby.connect("baton", "local")
    cursor = connection.cursor()
    rows = rows_from(primary)
    cursor.execute("begin")
    cursor.execute(plant, ("log_head", " 4 1 east-1 " + rows[3]["hash"]))
    assert error_of(run, connection, "catchup", rows[4:])[0] == "BT001"
    cursor.execute("rollback; begin")
    run(connection, "capture", 2, "west-1")
    run(connection, "open", 2, "west-1")
    cursor.execute(plant, ("log_head", " 3 2 west-1 " + rows[2]["hash"]))
    assert error_of(cursor.execute, "select shared.write('%s')" % text)[0] == "25006"
    cursor.execute("rollback")


def rows_of_one_transaction(primary, standby):
    """The second row of a transaction is checked as the first is."""
    rows = rows_from(primary)
    for alter, code in ((lambda r: r.update(key="app/z"), "BT004"), (lambda r: r.update(revision=9), "BT001"),
                        (lambda r: r.update(epoch=0), "BT002"), (lambda r: r.update(hash=rows[3]["hash"]), "BT004")):
        second = copy.deepcopy(rows[STANDBY_HAS + 1])
        alter(second)
        for bring in (apply_rows, lambda node, some: node.run("catchup", some)):
            assert unchanged(standby, bring, standby, [rows[STANDBY_HAS], second])[0] == code
    cursor = primary.owner.cursor()
    cursor.execute("begin; insert into shared.log (key, value, author) values ('app/x', '1', 'me')")
    try:
        for text, code in (("(epoch, key, value, author) values (0, 'app/y', '1', 'me')", "BT002"),
                           ("(revision, key, value, author) values (99, 'app/y', '1', 'me')", "BT001"),
                           ("(key, value, author) values ('nonsense', '1', 'me')", "BT005")):
            cursor.execute("savepoint before")
            assert error_of(cursor.execute, "insert into shared.log " + text)[0] == code
            cursor.execute("rollback to before")
    finally:
        cursor.execute("rollback")


def savepoints(primary, standby):
    """A row that was rolled back leaves nothing to the next one."""
    cursor = primary.owner.cursor()
    cursor.execute("begin")
    try:
        for key in ("app/r", "app/s"):
            cursor.execute("savepoint before; select shared.set('app/q', '1'); insert into shared.log (key, value, "
                           "author) values ('app/p', '1', 'me'); rollback to before")
            cursor.execute("insert into shared.log (key, value, author) values (%s, '1', 'me') ", (key,))
        head = primary.applied()
        cursor.execute("select revision, key from shared.log where revision > %s order by revision", (head,))
        assert cursor.fetchall() == [(head + 1, "app/r"), (head + 2, "app/s")]
        cursor.execute("select bool_and(hash = want) from (select hash, local.log_hash(lag(hash) over (order by "
                       "revision), revision, epoch, holder, txn, site, key, value::text, author, at, reason) as want "
                       "from shared.log) c where want is not null")
        assert cursor.fetchone() == (True,)
    finally:
        cursor.execute("rollback")


CHECKS = [forged_head, rows_of_one_transaction, savepoints, gap, hash_chain, hash_unambiguous, duplicate, fork,
          promised, stale_epoch, promise_by_row, capture_order,
          primary_takes_none, standby_refuses, frozen_refuses, restarted_refuses, old_epoch_refused, keys_refused,
          immutable, epoch_row_first]

ORDER = "if (new_row.epoch, new_row.holder) < (head.epoch, head.holder) then"
PROMISE = "if (new_row.epoch, new_row.holder) < (n.promised"
PULLED = "and current_setting('baton.catchup', true) is distinct from '1'\n            and"
TAKES_NONE = "if n.is_primary then\n        perform local.fail('BT009', 'primary', format('primary of"
SAME_START = "and n.opened_pg operator(pg_catalog.=) pg_catalog.pg_postmaster_start_time()"
SAME_EPOCH = "and (n.promised, n.promised_holder) operator(pg_catalog.=) (n.epoch, n.epoch_holder)"
FIRST_ROW = "if new_row.key <> 'epoch' and (head.epoch"
HASH = "elsif new.hash is distinct from"

# What is planted -> the check that must see it, and the change of the migrations.
MUTANTS = {
    "no gap check": (gap, {"if new_row.revision <> head.revision + 1 then": "if false then"}),
    "no hash check": (hash_chain, {HASH: HASH.replace("elsif", "elsif false and")}),
    "author not hashed": (hash_chain, {"pg_catalog.octet_length(author), ':', author,": "0,"}),
    "no lengths in the hash": (hash_unambiguous, {
        "pg_catalog.octet_length(site), ':', site,": "site,", "pg_catalog.octet_length(key), ':', key,": "key,"}),
    "duplicates not dropped": (duplicate, {
        "            return null;\n        end if;\n    end if;": "        end if;\n    end if;",
        "        return null;\n    else": "    else"}),
    "forks dropped as duplicates": (fork, {"if ours is distinct from hash then": "if false then"}),
    "no promise check": (promised, {PROMISE: PROMISE.replace("if", "if false and")}),
    "pull bound by the promise": (promised, {PULLED: "and"}),
    "no epoch order": (stale_epoch, {ORDER: "if false then"}),
    "epochs compared as numbers": (stale_epoch, {ORDER: "if new_row.epoch < head.epoch then"}),
    "rows promise nothing": (promise_by_row, {
        "where (t.promised, t.promised_holder) < (head.epoch, head.holder)": "where false"}),
    "every capture granted": (capture_order, {
        "granted := again or (n.promised, n.promised_holder) < (epoch, holder collate \"C\");": "granted := true;"}),
    "primary applies": (primary_takes_none, {TAKES_NONE: TAKES_NONE.replace("n.is_primary", "false")}),
    "role not asked": (standby_refuses, {
        "select coalesce(n.is_primary and not n.frozen": "select coalesce(not n.frozen", SAME_EPOCH: "", SAME_START: "",
        FIRST_ROW: FIRST_ROW.replace("if", "if false and")}),
    "freeze not asked": (frozen_refuses, {"n.is_primary and not n.frozen": "n.is_primary"}),
    "restart not seen": (restarted_refuses, {SAME_START: ""}),
    "any epoch written": (old_epoch_refused, {
        "if new_row.epoch <> n.epoch or new_row.holder <> n.epoch_holder then": "if false then"}),
    "no key rules": (keys_refused, {"    rule := coalesce(scope, local.key_scope(key));": "    return null;"}),
    "log may change": (immutable, {
        "create trigger log_immutable before update or delete or truncate":
            "create trigger log_immutable before update or delete"}),
    "promise may fall": (immutable, {
        "    or (new.promised, new.promised_holder) < (old.promised, old.promised_holder)\n": "\n"}),
    "left-over config believed": (forged_head, {"    mark := set_config('baton.log_config', '', true);\n": ""}),
    "left-over head believed": (forged_head, {"mark := local.log_forget();": "", "perform local.log_forget();": ""}),
    "further rows unchecked": (rows_of_one_transaction, {HASH: HASH.replace("elsif", "elsif head.revision is not null and")}),
    "no epoch row": (epoch_row_first, {FIRST_ROW: FIRST_ROW.replace("if", "if false and")}),
}
