-- Who may do what. Run by baton_owner, a superuser that may log in (the apply workers of the
-- subscriptions run as their owner, and PostgreSQL 15 starts no worker for a role without LOGIN).
--
--   baton          the daemon: reads all of Baton, writes only through functions, is not a superuser
--   baton_peers    group of the members' replication roles baton_n_<node>
--   baton_writer   group for people who write with psql: shared.set(), shared.unset()
--   baton_reader   group for people and programs that only look
--
-- Roles belong to the whole server and may stand already; only the first one to come makes them.
do $$
begin
    if not (select rolsuper and rolcanlogin from pg_catalog.pg_roles where rolname = current_user) then
        raise exception 'role % cannot run the migrations', current_user
            using errcode = '42501', hint = 'run them as baton_owner, a superuser with LOGIN';
    end if;
    if pg_catalog.current_setting('server_encoding') <> 'UTF8' then
        raise exception 'database % has encoding %, not UTF8', pg_catalog.current_database(),
            pg_catalog.current_setting('server_encoding')
            using errcode = '22021', hint = 'create database baton encoding UTF8 template template0';
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'baton') then
        create role baton login noinherit;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'baton_peers') then
        create role baton_peers nologin;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'baton_writer') then
        create role baton_writer nologin;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'baton_reader') then
        create role baton_reader nologin;
    end if;
    if (select rolsuper from pg_catalog.pg_roles where rolname = 'baton') then
        raise exception 'role baton is a superuser, and must not be one'
            using errcode = '42501', hint = 'alter role baton nosuperuser';
    end if;
end
$$;

do $$
begin
    execute pg_catalog.format('revoke all on database %I from public', pg_catalog.current_database());
    execute pg_catalog.format(
        'grant connect on database %I to baton, baton_peers, baton_writer, baton_reader',
        pg_catalog.current_database());
end
$$;

create schema shared; -- local stands already: it holds the list of migrations
revoke all on schema public from public;
revoke all on schema local, shared from public;
alter default privileges revoke execute on functions from public; -- each grant is said where it is made
grant usage on schema local to baton;
grant usage on schema shared to baton, baton_peers, baton_writer, baton_reader;

-- The only two things of the server that the daemon changes itself.
grant alter system on parameter synchronous_standby_names to baton;
grant execute on function pg_catalog.pg_reload_conf() to baton;

-- Functions that others may call are SECURITY DEFINER with a pinned search_path. The helpers they call
-- have no such clauses (each costs microseconds in every row) and no grant: nobody else can call them.

-- What an error of Baton carries: 'code' is a name of controller/base/err.h, 'slug' is stable.
create type local.fault as (code text, slug text, message text, mend text);

-- Every error that Baton raises itself: SQLSTATE says the kind, the constraint field the slug, the
-- hint the mend.
--   25006 fenced             BT001 gap                BT002 stale epoch     BT003 promised higher
--   BT004 hash               BT005 key or scope       BT006 limit           BT007 immutable
--   BT008 fork               BT009 primary            BT010 needs snapshot  BT011 not now, not here
create function local.fail(state text, slug text, message text, mend text) returns void
language plpgsql as $$
begin
    raise exception using errcode = state, constraint = slug, message = message, hint = mend;
end
$$;

-- For guard triggers: what the statement tried is never right, whoever runs it.
create function local.refuse() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform local.fail('BT007', tg_argv[0],
        lower(tg_op) || ' of ' || tg_table_schema || '.' || tg_table_name || ' is refused', tg_argv[1]);
    return null;
end
$$;
