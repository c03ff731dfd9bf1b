"""RELIABILITY section 2: the daemon is no superuser, and can do nothing but what the functions allow."""
import re

import psycopg2
import pytest

from pg import CLUSTER_ID, QUERIES, Node, error_of, migrate, wait_until

CANNOT = {
    "baton": [
        "insert into shared.log (key, value, author) values ('app/x', '1', 'me')", "update shared.log set value = '2'",
        "delete from shared.log", "truncate shared.log", "insert into shared.config values ('', 'x', '1', 1, 1, 'x', now())",
        "update shared.config set value = '2'", "delete from shared.config", "update local.node set promised = 0",
        "update local.node set is_primary = true", "delete from local.node", "insert into local.setting values ('a', '1', 'x')",
        "update local.setaside set state = 'discarded'", "delete from local.setaside", "insert into local.event (kind, doc) values ('x', '{}')",
        "insert into local.key_rule values ('%', 'site')", "delete from local.migration", "insert into local.epoch_start values (9, 'x', 9)",
        "alter table shared.log disable trigger log_insert", "drop trigger log_insert on shared.log",
        "create or replace function local.log_insert() returns trigger language plpgsql as 'begin return new; end'",
        "set session_replication_role = replica", "create subscription x connection 'host=x' publication baton",
        "create publication x for table shared.log", "alter publication baton add table shared.config",
        "drop publication baton", "select pg_create_logical_replication_slot('x', 'pgoutput')",
        "create role mallory", "alter role baton superuser", "create schema x", "create table public.x ()",
        "create function shared.x() returns int language sql as 'select 1'", "create table shared.x ()",
        "alter system set fsync = off", "alter system set primary_conninfo = 'x'", "copy shared.log to '/tmp/x'",
        "copy shared.log from program 'true'", "select pg_read_file('pg_hba.conf')", "select subconninfo from pg_subscription",
        "select * from pg_authid", "select local.fail('25006', 'a', 'b', 'c')", "select local.seize()",
        "select shared.set('app/x', '1')", "load 'plpgsql'", "set role baton_owner", "create temp table x ()",
        "drop database postgres", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'baton_owner'"],
    "baton_writer": [
        "select shared.write('[]')", "insert into shared.log (key, value, author) values ('app/x', '1', 'me')",
        "select * from shared.log", "select * from shared.config", "select * from local.node", "select local.position()",
        "select local.freeze()", "set session_replication_role = replica", "update shared.config set value = '2'",
        "delete from shared.log", "create table shared.x ()", "create schema evil", "create temp table x ()"],
    "baton_reader": [
        "select shared.set('app/x', '1')", "select shared.write('[]')", "select * from local.node", "select * from local.setting",
        "select local.position()", "delete from shared.log", "create schema evil"],
    "baton_n_west-1": [
        "select * from shared.config", "select * from local.node", "select shared.set('app/x', '1')", "select shared.write('[]')",
        "insert into shared.log (key, value, author) values ('app/x', '1', 'me')", "select local.position()", "create schema evil"],
    "stranger": ["select 1"],
}
CAN = {
    "baton": ["select * from shared.log", "select * from shared.config", "select * from local.node", "select * from local.head",
              "alter system set synchronous_standby_names = ''", "alter system reset synchronous_standby_names",
              "select pg_reload_conf()", "listen baton_log"],
    "baton_reader": ["select * from shared.log", "select * from shared.config"],
    "baton_writer": ["select shared.set('app/x', '1')"],
    "baton_n_west-1": ["select * from shared.log"],
}


@pytest.fixture(scope="module")
def people(trio):
    """A primary, and a login of every kind; 'stranger' belongs to nothing."""
    trio[0].make_database("people")  # grants of a database do not come with its template
    owner = trio[0].connect("people")
    migrate(owner)
    owner.close()
    node = Node(trio[0], "people", "east-1")
    node.run("node_init", CLUSTER_ID, "east-1", "east")
    node.open(1)
    node.run("peer_role_sync", ["west-1"])
    node.own("create role person_w login in role baton_writer; create role person_r login in role baton_reader; "
             "create role stranger login")
    logins = {"baton_writer": "person_w", "baton_reader": "person_r"}
    yield node, lambda role: trio[0].connect(node.database, logins.get(role, role))
    wait_until("all are gone", lambda: not node.own("select 1 from pg_stat_activity where usename like 'person%' or "
                                                    "usename = 'stranger'"))
    node.own("drop role person_w, person_r, stranger")
    node.run("peer_role_sync", "{}")
    node.spoilt = True
    node.close()


@pytest.mark.parametrize("role", CANNOT)
def test_cannot(people, role):
    node, login = people
    for statement in CANNOT[role]:
        def attempt():
            connection = login(role)
            try:
                connection.cursor().execute(statement)
            finally:
                connection.close()
        try:
            attempt()
            code = "done"
        except psycopg2.Error as error:
            code = error.pgcode or str(error)
        assert code == "42501" or "permission denied for database" in code, (statement, code)


@pytest.mark.parametrize("role", CAN)
def test_can(people, role):
    node, login = people
    for statement in CAN[role]:
        connection = login(role)
        connection.cursor().execute(statement)
        connection.close()


def test_baton_is_nobody_special(people):
    node, _ = people
    assert node.own("select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, "
                    "(select count(*) from pg_auth_members m where m.member = r.oid) from pg_roles r where rolname = 'baton'") \
        == [(False, False, False, False, False, 0)]


def test_nobody_but_the_named_may_call_anything(people):
    """Each function is granted to one role by name, none to everybody."""
    node, _ = people
    grants = node.own(
        "select p.pronamespace::regnamespace || '.' || p.proname, coalesce(r.rolname, 'public') from pg_proc p "
        "left join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a on true "
        "left join pg_roles r on r.oid = a.grantee where p.pronamespace in ('local'::regnamespace, 'shared'::regnamespace) "
        "and a.grantee <> p.proowner")
    used = set(re.findall(r"\b(?:local|shared)\.\w+(?=\()", "\n".join(
        line for text in QUERIES.values() for line in text.splitlines() if not line.startswith("--"))))
    assert {name for name, role in grants if role == "baton"} == used
    assert {(name, role) for name, role in grants if role != "baton"} \
        == {("shared.set", "baton_writer"), ("shared.unset", "baton_writer")}


def test_search_path_is_pinned_where_others_call(people):
    node, _ = people
    rows = node.own("select p.proname, p.prosecdef, p.proconfig from pg_proc p where p.pronamespace in "
                    "('local'::regnamespace, 'shared'::regnamespace) and p.prosecdef")
    assert len(rows) > 30
    for name, _, config in rows:
        assert "search_path=pg_catalog, pg_temp" in (config or []), name
    callable_ = {row[0] for row in node.own(
        "select p.proname from pg_proc p, aclexplode(p.proacl) a where p.pronamespace in ('local'::regnamespace, "
        "'shared'::regnamespace) and a.grantee <> p.proowner")}
    assert callable_ <= {name for name, _, _ in rows}


def test_only_the_owner_makes_things(people):
    node, _ = people
    assert node.own("select nspname, r.rolname from pg_namespace n, aclexplode(nspacl) a left join pg_roles r on "
                    "r.oid = a.grantee where nspname in ('local', 'shared', 'public') and a.privilege_type = 'CREATE' "
                    "and a.grantee <> nspowner") == []


def test_every_query_is_one_statement_that_the_daemon_may_prepare(people):
    """As libpq sends it: parameters without types, each known from its place."""
    node, login = people
    connection = login("baton")
    for name, text in QUERIES.items():
        if name in ("migration_prepare", "migration_record") or name.startswith("witness_"):
            continue  # of the owner, or of another database
        cursor = connection.cursor()
        cursor.execute("prepare q as " + text)
        cursor.execute("deallocate q")
    connection.close()


def test_member_roles_follow_the_members(make):
    node = make("east-1", which=2)
    assert node.run("peer_role_sync", ["west-1", "west-2"]) == [
        {"role": "baton_n_west-1", "action": "created"}, {"role": "baton_n_west-2", "action": "created"}]
    assert node.own("select rolname, rolcanlogin, rolreplication, rolsuper, pg_has_role(oid, 'baton_peers', 'member') "
                    "from pg_roles where rolname like 'baton\\_n\\_%' order by 1") == [
        ("baton_n_west-1", True, True, False, True), ("baton_n_west-2", True, True, False, True)]
    west = node.server.connect(node.database, "baton_n_west-2")
    assert node.run("peer_role_sync", ["west-1"]) == [{"role": "baton_n_west-2", "action": "dropped"}]
    wait_until("its session is ended", lambda: not node.own(
        "select 1 from pg_stat_activity where usename = 'baton_n_west-2'"))
    west.close()
    assert node.run("peer_role_sync", ["west-1"]) == []
    assert node.run("peer_role_sync", ["west-1.2"]) == [
        {"role": "baton_n_west-1.2", "action": "created"}, {"role": "baton_n_west-1", "action": "dropped"}]
    for bad in ("West", "x" * 52, "a_b", "west.0", "west.1000", "west.2.2", ".2", 'a"; drop role baton; --', ""):
        assert error_of(node.run, "peer_role_sync", ["west-1", bad])[:2] == ("22023", "node_name")
    assert node.run("peer_role_sync", ["n" * 51 + ".999"])
    node.run("peer_role_sync", "{}")
