-- Slots, subscriptions and the members' roles, for a daemon that is not a superuser (PostgreSQL 15 has no
-- pg_create_subscription). Only names that begin with baton_ are touched: other things of an external
-- database are none of ours.
--
-- Which waits can be done inside one statement, on PostgreSQL 15:
--   * sub_detach: all of it. DROP SUBSCRIPTION locks out the launcher, terminates the worker and waits
--     until it is gone; with slot_name = NONE it never talks to the publisher.
--   * slot_drop: all of it. pg_terminate_backend(pid, ms) looks only every 100 ms, and by then a
--     subscriber with wal_retrieve_retry_interval = 50ms is there again: so look every millisecond.
--   * slot_make waits for every running write transaction of the server, also one whose COMMIT waits for
--     standbys (I12). Each wait is bounded to 2 s (55P03); set statement_timeout around it for the sum.
-- CREATE SUBSCRIPTION connects to the publisher: put connect_timeout and hostaddr into the conninfo.
-- Run all of these with synchronous_commit = local, each as a transaction of its own.

create function local.check_name(name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if name is null or name !~ '^baton_[a-z0-9_]{1,57}$' then
        perform local.fail('22023', 'name',
            format('''%s'' is not a name of a slot or subscription of Baton', name), 'baton_ and the node, with _ for -');
    end if;
end
$$;

-- Makes a logical slot for a subscriber. It must be this transaction's first write.
-- 55006: a COMMIT waits for standbys, so the slot would wait for it. 55P03: some transaction did not end
-- within 2 s. 42710: the name is taken; drop it first, an old slot may hold rows of a fork.
create function local.slot_make(name text) returns pg_lsn
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    waiting text;
begin
    perform local.check_name(name);
    select string_agg(a.pid::text, ', ') into waiting from pg_stat_activity a where a.wait_event = 'SyncRep';
    if waiting is not null then
        perform local.fail('55006', 'slot_blocked', format(
            'slot %s would wait for commits that wait for standbys (pid %s)', name, waiting), 'cancel those waits first; their outcome is then unknown to the clients');
    end if;
    return (select s.lsn from pg_create_logical_replication_slot(slot_make.name, 'pgoutput') s);
end
$$;

-- Drops a slot, ending the walsender that uses it. False: there was none. 55006: still in use after 2 s.
create function local.slot_drop(name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    stop_at constant timestamptz := clock_timestamp() + interval '2 s';
    user_pid integer;
begin
    perform local.check_name(name);
    loop
        select s.active_pid into user_pid from pg_replication_slots s
            where s.slot_name = slot_drop.name and s.database = current_database();
        if not found then
            return false;
        end if;
        begin
            perform pg_drop_replication_slot(slot_drop.name);
            return true;
        exception when object_in_use then
            if clock_timestamp() > stop_at then
                raise;
            end if;
        end;
        perform pg_terminate_backend(user_pid), pg_sleep(0.001);
    end loop;
end
$$;

create function local.slots()
returns table (name text, active boolean, wal_status text, lag_bytes bigint, confirmed pg_lsn)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select s.slot_name::text, s.active, s.wal_status,
        pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint, s.confirmed_flush_lsn
    from pg_replication_slots s
    where s.slot_name like 'baton\_%' and s.database = current_database()
    order by s.slot_name
$$;

-- Subscribes to a publisher whose slot stands already; the log's overlap is dropped by its trigger. Always a
-- new subscription, never another CONNECTION for an old one: that keeps the old publisher's position,
-- and rows are acknowledged and lost. 42710: the name is taken, detach first.
create function local.sub_attach(name text, conninfo text, slot text, enabled boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    other text;
begin
    perform local.check_name(name), local.check_name(slot);
    execute format('create subscription %I connection %L publication baton with (create_slot = false, '
        'copy_data = false, slot_name = %L, synchronous_commit = local, enabled = %s)',
        name, conninfo, slot, case when enabled then 'true' else 'false' end);
    -- The worker runs as a superuser: a publisher must not be able to name any other table.
    select string_agg(r.srrelid::regclass::text, ', ') into other
    from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid
    where s.subname = sub_attach.name and r.srrelid <> 'shared.log'::regclass;
    if other is not null then
        perform local.fail('42501', 'publication', format('the publisher of %s publishes %s beside shared.log',
            name, other), 'its publication baton must hold only shared.log');
    end if;
end
$$;

create function local.sub_exists(name text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from pg_subscription s where s.subname = sub_exists.name
        and s.subdbid = (select d.oid from pg_database d where d.datname = current_database()))
$$;

-- Removes a subscription, its worker first; the publisher need not be there. False: there was none.
create function local.sub_detach(name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
begin
    perform local.check_name(name);
    if not local.sub_exists(name) then
        return false;
    end if;
    execute format('alter subscription %I disable', name);
    execute format('alter subscription %I set (slot_name = none)', name);
    execute format('drop subscription %I', name);
    return true;
end
$$;

create function local.subs()
returns table (name text, enabled boolean, slot text, running boolean, received pg_lsn,
    message_age_ms bigint, errors bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select s.subname::text, s.subenabled, s.subslotname::text, w.pid is not null, w.received_lsn,
        (extract(epoch from clock_timestamp() - w.last_msg_receipt_time) * 1000)::bigint,
        e.apply_error_count
    from pg_subscription s
    join pg_database d on d.oid = s.subdbid and d.datname = current_database()
    left join pg_stat_subscription w on w.subid = s.oid and w.relid is null
    left join pg_stat_subscription_stats e on e.subid = s.oid
    where s.subname like 'baton\_%' order by s.subname
$$;

-- Who receives from us. 'name' is what synchronous_standby_names counts; a name proves nothing without
-- the role and the slot beside it.
create function local.standbys()
returns table (name text, role text, slot text, address inet, state text, sync_state text,
    lag_bytes bigint, reply_age_ms bigint, flushed bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select r.application_name, r.usename::text, s.slot_name::text, r.client_addr, r.state, r.sync_state,
        pg_wal_lsn_diff(pg_current_wal_lsn(), r.flush_lsn)::bigint,
        (extract(epoch from clock_timestamp() - r.reply_time) * 1000)::bigint,
        pg_wal_lsn_diff(r.flush_lsn, '0/0')::bigint
    from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid
    order by r.application_name, r.pid
$$;

-- How long the COMMIT that waits longest for standbys has been under way, 0 for none, and how far our own
-- log is flushed: whoever has that much acknowledges what was committed before this was asked.
create function local.commit_waits(out waited_ms bigint, out flushed bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(max(greatest(ceil(extract(epoch from clock_timestamp() - a.state_change) * 1000), 1)), 0)::bigint,
        pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint
    from pg_stat_activity a where a.wait_event = 'SyncRep' and a.datname = current_database()
$$;

-- One login role for each member and none else. 'west-1.2' is the second node of that name: the role of
-- the first is dropped. Returns what was done, for the record.
create function local.peer_role_sync(logins text[])
returns table (role text, action text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    login text;
begin
    foreach login in array logins loop
        if login is null or login !~ '^[a-z0-9]([a-z0-9-]{0,49}[a-z0-9])?(\.[1-9][0-9]{0,2})?$' then
            perform local.fail('22023', 'node_name', format('''%s'' is not a login of a node', login),
                'use a-z, 0-9 and - , at most 51, and the count of its name after a dot');
        end if;
    end loop;
    for role in select 'baton_n_' || u from unnest(logins) u
            where not exists (select from pg_roles r where r.rolname = 'baton_n_' || u) order by 1 loop
        execute format('create role %I login replication in role baton_peers', role);
        action := 'created';
        return next;
    end loop;
    for role in select r.rolname::text from pg_roles r where r.rolname like 'baton\_n\_%'
            and substr(r.rolname, 9) <> all (logins) order by 1 loop
        perform pg_terminate_backend(a.pid) from pg_stat_activity a where a.usename = role;
        execute format('drop role %I', role);
        action := 'dropped';
        return next;
    end loop;
end
$$;

-- The node's certificate and key where this server finds them, wherever it runs: baton_tls/ in its data
-- directory, which is where a session's relative paths begin. Subscriptions name the files, and the server
-- may show the certificate itself. COPY writes no file that only its owner can read, a shell does; what
-- it runs is fixed. True: something changed.
create function local.tls_install(ca text, certificate text, key text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    file record;
    changed boolean := false;
begin
    -- The key last: a crash in between leaves a pair that does not fit, and the next start mends it.
    for file in select f.name, f.pem from (values (1, 'ca.crt', ca), (2, 'server.crt', certificate),
            (3, 'server.key', key)) f (place, name, pem) order by f.place loop
        if file.pem is null or length(file.pem) > 65536 or file.pem !~ '^-----BEGIN [A-Z ]+-----[-A-Za-z0-9+/= \n]+$' then
            perform local.fail('22023', 'pem', format('%s is not PEM text', file.name), 'pass the file as it is');
        end if;
        continue when file.pem = pg_read_file('baton_tls/' || file.name, 0, 65537, true);
        -- not as part of the statement, which statistics may show
        perform set_config('baton.pem', file.pem, true);
        execute format('copy (select unnest(string_to_array(rtrim(current_setting(''baton.pem''), E''\n''), E''\n''))) '
            'to program %L', 'umask 077 && mkdir -p baton_tls && cat >baton_tls/new && mv -f baton_tls/new baton_tls/'
            || file.name);
        changed := true;
    end loop;
    perform set_config('baton.pem', '', true);
    return changed;
end
$$;

grant execute on function local.slot_make(text), local.slot_drop(text), local.slots(),
    local.sub_attach(text, text, text, boolean), local.sub_detach(text), local.subs(), local.standbys(),
    local.commit_waits(), local.peer_role_sync(text[]), local.tls_install(text, text, text) to baton;
