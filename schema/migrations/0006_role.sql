-- Who may write: the steps of a promotion as single, durable statements on local.node. Each waits for
-- the row lock, so when it has returned no write of before is still on its way, and none of after
-- passes the gate. The wait is bounded: 55P03 (lock_not_available) after 2 s. Two things can hold the
-- lock for long: a writer whose COMMIT waits for standbys, and an apply worker that has got half of a
-- transaction when the network went. A freeze gives up then; a capture and a fence must not depend on
-- either, and after 200 ms end them (local.seize()).
--
-- The caller commits each with synchronous_commit = local: the decision is this node's alone, and must
-- not wait for standbys that may be gone. (local.open() alone waits for no disk.)

create function local.node_init(cluster_id uuid, name text, site text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    seed constant bytea := sha256(convert_to(cluster_id::text, 'UTF8'));
begin
    insert into local.node (cluster_id, name, site, log_base_hash)
    values (cluster_id, name, site, seed);
exception when unique_violation then
    if not exists (select from local.node n where (n.cluster_id, n.name, n.site)
            = (node_init.cluster_id, node_init.name, node_init.site)) then
        perform local.fail('BT011', 'other_node', (select format(
            'this database belongs to node %s of site %s, cluster %s', n.name, n.site, n.cluster_id)
            from local.node n), 'use a new database for each node');
    end if;
end
$$;

create type local.node_position as (
    cluster_id uuid,
    name text,
    site text,
    applied bigint,
    applied_epoch bigint,
    applied_holder text,
    applied_hash text, -- hexadecimal
    is_primary boolean,
    frozen boolean,
    writable boolean, -- is primary, not frozen, nobody else promised, PostgreSQL not restarted since
    epoch bigint,
    epoch_holder text,
    promised bigint,
    promised_holder text,
    log_base bigint,
    log_base_hash text
);

-- Volatile, so that it looks again: whoever waited for the lock of 'n' must see the rows that came before.
create function local.as_position(n local.node) returns local.node_position
language plpgsql volatile as $$
declare
    head local.log_point;
begin
    select * into head from local.head;
    return row(n.cluster_id, n.name, n.site, head.revision, head.epoch, head.holder,
        encode(head.hash, 'hex'), n.is_primary, n.frozen, local.writable(n), n.epoch,
        n.epoch_holder, n.promised, n.promised_holder, n.log_base,
        encode(n.log_base_hash, 'hex'))::local.node_position;
end
$$;

create function local.position() returns setof local.node_position
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    select p.* from local.node n, local.as_position(n) p
$$;

-- Locks local.node, if need be by force: whoever has or waits for the lock after 200 ms is ended, all at
-- once, for behind one writer that waits for standbys stand others that would do the same. An ended wait
-- for standbys leaves its client with a warning (the outcome is unknown, I4); any other ended writer or
-- apply worker has written nothing. 55P03 after 3 s.
create function local.seize() returns local.node
language plpgsql as $$
declare
    stop_at constant timestamptz := clock_timestamp() + interval '3 s';
    n local.node;
begin
    perform set_config('lock_timeout', '200ms', true);
    loop
        begin
            select * into n from local.node for update;
            return n;
        exception when lock_not_available then
            if clock_timestamp() > stop_at then
                raise;
            end if;
        end;
        perform case when a.state = 'active' and a.backend_type = 'client backend' then pg_cancel_backend(a.pid)
                else pg_terminate_backend(a.pid) end
        from (select distinct l.pid from pg_locks l
            where l.locktype = 'relation' and l.relation = 'local.node'::regclass and l.granted
                and l.database = (select d.oid from pg_database d where d.datname = current_database())
                and l.mode in ('RowShareLock', 'RowExclusiveLock') and l.pid <> pg_backend_pid()) h
        join pg_stat_activity a using (pid);
    end loop;
end
$$;

-- Holds the writes for a switchover. No row: not primary, or frozen already.
create function local.freeze() returns setof local.node_position
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node;
begin
    update local.node set frozen = true where is_primary and not frozen returning * into n;
    if found then
        return next local.as_position(n);
    end if;
end
$$;

-- Reopens after a switchover that did not happen. No row: somebody else was promised meanwhile, or it
-- was not frozen; then only forward.
create function local.thaw(epoch bigint, holder text) returns setof local.node_position
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node;
begin
    update local.node t set frozen = false
    where t.frozen and (t.epoch, t.epoch_holder) = (thaw.epoch, thaw.holder)
        and (t.promised, t.promised_holder) = (thaw.epoch, thaw.holder)
    returning * into n;
    if found then
        return next local.as_position(n);
    end if;
end
$$;

-- The promise: from here on this node refuses rows and captures of any lower epoch, and writes nothing
-- itself. Granted again when the same candidate asks again (its answer may have been lost).
create function local.capture(epoch bigint, holder text, out granted boolean, out again boolean,
    out was_primary boolean, out before bigint, out before_holder text, out sync_set jsonb,
    out at_position local.node_position)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node;
begin
    n := local.seize();
    if n.name is null then
        perform local.fail_fenced(n);
    end if;
    was_primary := n.is_primary;
    before := n.promised; -- with async durability it tells whether somebody was promised in between
    before_holder := n.promised_holder;
    again := (n.promised, n.promised_holder) = (epoch, holder collate "C");
    granted := again or (n.promised, n.promised_holder) < (epoch, holder collate "C");
    if granted and not again then
        update local.node set promised = capture.epoch, promised_holder = capture.holder,
            is_primary = false, frozen = false returning * into n;
    end if;
    -- After the lock: whoever held it may have brought another one.
    select c.value into sync_set from shared.config c where c.key = 'sync/set' and c.site = '';
    at_position := local.as_position(n);
end
$$;

create function local.check_turn(n local.node, epoch bigint, holder text) returns void
language plpgsql as $$
begin
    if n.name is null then
        perform local.fail_fenced(n);
    end if;
    if holder <> n.name then
        perform local.fail('BT011', 'not_holder', format('epoch %s belongs to %s, this node is %s',
            epoch, holder, n.name), 'only its holder opens an epoch (I1)');
    end if;
    if (n.promised, n.promised_holder) <> (epoch, holder) then
        perform local.fail('BT003', 'promised', format('promised is %s/%s, not %s/%s',
            n.promised, n.promised_holder, epoch, holder), 'capture first, with an epoch above');
    end if;
end
$$;

-- Takes the right to write for a new epoch: it is promised to this node, above everything applied here
-- and never held before. The first row must be the epoch row. BT003, BT011: refused, and why.
create function local.open(epoch bigint, holder text) returns setof local.node_position
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node;
    head local.log_point;
begin
    select * into n from local.node for update;
    perform local.check_turn(n, epoch, holder);
    select * into head from local.head;
    if (n.epoch, n.epoch_holder) >= (epoch, holder collate "C")
            or (head.epoch, head.holder) >= (epoch, holder collate "C") then
        perform local.fail('BT011', 'epoch_used', format('epoch %s/%s was opened before', epoch, holder),
            'resume it when the peers confirm it, or take a higher one');
    end if;
    update local.node set is_primary = true, frozen = false, epoch = open.epoch,
        epoch_holder = open.holder, opened_pg = pg_postmaster_start_time() returning * into n;
    -- Everybody waits for this step, and it is durable with the first row, which comes after it in the WAL. One
    -- that a crash took away had no row, and there is no right to write either.
    perform set_config('synchronous_commit', 'off', true);
    return next local.as_position(n);
end
$$;

-- The same epoch goes on after a restart or a fence, when the peers confirmed that it is still the
-- highest (I11): this row alone proves only that nobody asked us for another. BT003, BT011: refused.
create function local.resume(epoch bigint, holder text) returns setof local.node_position
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node;
begin
    select * into n from local.node for update;
    perform local.check_turn(n, epoch, holder);
    if (n.epoch, n.epoch_holder) <> (epoch, holder) then
        perform local.fail('BT011', 'epoch_not_held', format('epoch %s/%s was never opened here', epoch, holder),
            'open it');
    end if;
    update local.node set is_primary = true, frozen = false,
        opened_pg = pg_postmaster_start_time() returning * into n;
    return next local.as_position(n);
end
$$;

-- Gives up the right to write. Always a row, once the node exists; harmless when it has none.
create function local.fence() returns setof local.node_position
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node := local.seize();
begin
    update local.node set is_primary = false, frozen = false returning * into n;
    if found then
        return next local.as_position(n);
    end if;
end
$$;

-- Ends the wait of every COMMIT that waits for standbys, so that its locks are released: such a COMMIT
-- returns with a warning, and its client must take the outcome as unknown (I4). Returns how many.
create function local.waiters_cancel() returns integer
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select count(*)::integer from (select pg_cancel_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event = 'SyncRep') c
$$;

-- After this every COMMIT waits for the synchronous_standby_names of a reload that the checkpointer was
-- signalled for before: it looks at its signals, then it makes a checkpoint.
create function local.names_settle() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    execute 'checkpoint';
end
$$;

grant execute on function local.position(), local.freeze(), local.thaw(bigint, text),
    local.capture(bigint, text), local.open(bigint, text), local.resume(bigint, text), local.fence(),
    local.node_init(uuid, text, text), local.waiters_cancel(), local.names_settle() to baton;
