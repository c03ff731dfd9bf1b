-- The lease of this node: until when it may write, and what survives a restart (sites/lease.h).
--
-- A table of its own. Its row is written by the daemon alone, with synchronous_commit = local, and read
-- without a lock: a renewal waits neither for a COMMIT that waits for standbys, which holds local.node,
-- nor for a long writer. A writer that passed the gate just before the end may commit just after it:
-- what that row is worth is decided by acknowledgements and captures, not by clocks.

create table local.tenure (
    one boolean primary key default true check (one),
    since timestamptz not null default '-infinity', -- when 'until' was set
    until timestamptz,                -- no writes here from then on; null: no end
    arbiter bigint not null default 0, -- which one 'seen' is of
    seen bigint not null default 0,    -- the latest epoch that it ever showed
    seen_holder text not null default '' collate "C",
    cleared bigint not null default 0, -- the latest epoch under which we were allowed to act
    cleared_holder text not null default '' collate "C"
);
insert into local.tenure default values;

-- A clock that was set back would make the lease longer: then there is none, until the next renewal.
create function local.tenure_holds() returns boolean
language plpgsql stable as $$
declare
    ends timestamptz;
    since timestamptz;
begin
    select t.until, t.since into ends, since from local.tenure t;
    return ends is null or (pg_catalog.clock_timestamp() operator(pg_catalog.<) ends
        and pg_catalog.clock_timestamp() operator(pg_catalog.>)
        (since operator(pg_catalog.-) interval '500 ms'));
end
$$;

create or replace function local.writable(n local.node) returns boolean
language sql stable as $$
    select coalesce(n.is_primary and not n.frozen
        and n.opened_pg operator(pg_catalog.=) pg_catalog.pg_postmaster_start_time()
        and (n.promised, n.promised_holder) operator(pg_catalog.=) (n.epoch, n.epoch_holder)
        and local.tenure_holds(), false)
$$;

create or replace function local.fail_fenced(n local.node) returns void
language plpgsql as $$
begin
    perform local.fail('25006', 'fenced', 'fenced: ' || case
        when n.name is null then 'this database has no node yet'
        when not n.is_primary then format('node %s is not primary', n.name)
        when (n.promised, n.promised_holder) <> (n.epoch, n.epoch_holder) then format(
            'epoch %s/%s is promised, ours is %s/%s', n.promised, n.promised_holder, n.epoch, n.epoch_holder)
        when n.frozen then 'a promotion holds the writes'
        when not local.tenure_holds() then 'the lease of this node has ended'
        else 'PostgreSQL was restarted after this epoch was opened' end,
        'write to the primary node');
end
$$;

-- Writes are taken for so long from now on; null: without end.
create function local.tenure_set(remaining_ms bigint) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    update local.tenure set since = clock_timestamp(),
        until = clock_timestamp() + remaining_ms * interval '1 ms'
$$;

create function local.tenure_note(arbiter bigint, seen bigint, seen_holder text, cleared bigint,
    cleared_holder text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    update local.tenure set arbiter = tenure_note.arbiter, seen = tenure_note.seen,
        seen_holder = tenure_note.seen_holder, cleared = tenure_note.cleared,
        cleared_holder = tenure_note.cleared_holder
$$;

create function local.tenure_show()
returns table (arbiter bigint, seen bigint, seen_holder text, cleared bigint, cleared_holder text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select t.arbiter, t.seen, t.seen_holder, t.cleared, t.cleared_holder from local.tenure t
$$;

grant execute on function local.tenure_set(bigint), local.tenure_show(),
    local.tenure_note(bigint, bigint, text, bigint, text) to baton;
