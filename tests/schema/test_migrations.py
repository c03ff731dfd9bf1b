"""Empty to newest, once and for all: one transaction a file, forward only, the same everywhere."""
import re
import subprocess

import psycopg2
import pytest

from pg import CLUSTER_ID, MIGRATIONS, Node, checksum, error_of, migrate, migrations, run


@pytest.fixture
def empty(trio):
    """An empty database; removed at the end."""
    made = []

    def build(encoding="UTF8"):
        name = "empty%d" % len(made)
        trio[0].make_database(name, encoding=encoding)
        made.append(name)
        return trio[0].connect(name)

    yield build
    for name in made:
        trio[0].sql("drop database %s with (force)" % name)


def dump(server, database):
    command = [server.servers.bin / "pg_dump", "-h", server.path, "-p", str(server.port), "-U", "baton_owner",
               "--exclude-table-data=local.migration", database]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.M)  # a random word of each dump


def known():
    return [{"version": version, "name": name, "checksum": checksum(text)} for version, name, text in migrations()]


def test_numbers_have_no_hole():
    assert [int(path.stem[:4]) for path in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_empty_to_newest_gives_one_dump(trio, empty):
    """All at once, or stopping after each; on this server or the next."""
    for last in (None, 3):
        connection = empty()
        if last is not None:
            assert migrate(connection, last) == [1, 2, 3]
            assert run(connection, "migration_check", known()) == []
        assert migrate(connection)
        assert migrate(connection) == [], "the second run does nothing"
        assert run(connection, "migration_check", known()) == []
        assert dump(trio[0], connection.info.dbname) == dump(trio[1], "baton_template")


def test_the_list_says_what_was_applied(empty):
    connection = empty()
    run(connection, "migration_prepare")
    assert run(connection, "migration_list") == []
    migrate(connection)
    assert [(r["version"], r["name"], r["checksum"]) for r in run(connection, "migration_list")] \
        == [(v, n, checksum(t)) for v, n, t in migrations()]
    assert error_of(run, connection, "migration_record", 1, "roles", "0" * 64)[0] == "23505"


def test_changed_newer_and_missing_are_told(empty):
    connection = empty()
    migrate(connection)
    told = known()
    told[2]["checksum"] = "0" * 64
    assert run(connection, "migration_check", told) == [{"version": 3, "name": told[2]["name"], "problem": "changed"}]
    (row,) = run(connection, "migration_check", known()[:-1])
    assert (row["version"], row["problem"]) == (len(MIGRATIONS), "newer")
    more = known() + [{"version": len(MIGRATIONS) + 1, "name": "next", "checksum": "1" * 64}]
    assert run(connection, "migration_check", more) == []
    connection.cursor().execute("delete from local.migration where version = 2")
    (row,) = run(connection, "migration_check", known())
    assert (row["version"], row["problem"]) == (2, "hole")


def test_a_failed_migration_leaves_nothing(empty):
    connection = empty()
    migrate(connection, 2)
    cursor = connection.cursor()
    cursor.execute("begin")
    with pytest.raises(psycopg2.Error):
        cursor.execute(migrations()[2][2] + "; select 1/0")
    cursor.execute("rollback")
    assert [r["version"] for r in run(connection, "migration_list")] == [1, 2]
    assert migrate(connection) == list(range(3, len(MIGRATIONS) + 1))


def test_an_administrator_of_an_external_server_migrates(trio, empty):
    """Any superuser does, by SET ROLE: baton_owner owns it all, and baton can run."""
    connection = empty()
    cursor = connection.cursor()
    cursor.execute("create role dba superuser login")
    cursor.execute("set session authorization dba")
    cursor.execute("set role baton_owner")
    migrate(connection)
    cursor.execute("select distinct pg_get_userbyid(relowner) from pg_class where relnamespace in "
                   "('local'::regnamespace, 'shared'::regnamespace)")
    assert cursor.fetchall() == [("baton_owner",)]
    node = Node(trio[0], connection.info.dbname, "east-1")
    node.run("node_init", CLUSTER_ID, "east-1", "east")
    node.open(1)
    assert node.set("app/x", 1) == 2
    for open_ in node.closing:
        open_.close()
    cursor.execute("reset role; reset session authorization; drop role dba")


def test_only_a_superuser_that_may_log_in_migrates(empty):
    """Apply workers run as the owner, and PostgreSQL 15 starts none for a role without LOGIN."""
    connection = empty()
    cursor = connection.cursor()
    for attributes in ("login", "superuser nologin"):
        cursor.execute("create role wrong " + attributes)
        cursor.execute("grant all on database %s to wrong" % connection.info.dbname)
        cursor.execute("begin; set local role wrong")
        assert error_of(cursor.execute, migrations()[0][2])[0] == "42501"
        cursor.execute("rollback; drop owned by wrong; drop role wrong")


def test_another_encoding_is_refused(empty):
    connection = empty("SQL_ASCII")
    code, _, text = error_of(migrate, connection)
    assert code == "22021" and "SQL_ASCII" in text


def test_a_superuser_named_baton_is_refused(empty):
    connection = empty()
    cursor = connection.cursor()
    cursor.execute("alter role baton superuser")
    try:
        assert error_of(migrate, connection)[0] == "42501"
    finally:
        cursor.execute("rollback")
        cursor.execute("alter role baton nosuperuser")


def test_prepare_is_silent_when_it_has_nothing_to_do(empty):
    """A notice would be taken for a warning."""
    connection = empty()
    for _ in range(2):
        run(connection, "migration_prepare")
    assert connection.notices == []
