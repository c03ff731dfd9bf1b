-- The gate of the shared log. Every row that enters it, whether written here, brought by an apply
-- worker or pulled, passes this one trigger (ENABLE ALWAYS), which keeps:
--   I2  rows of one epoch come from one node: only its holder writes, and only while it may
--   I3  a row of an epoch below the promise is refused (BT003); only a pull, or the stream of the node that
--       we promised to, may bring older history
--   I7  equal (epoch, revision) means equal content and equal prefix: the hash chain (BT004, BT008)
--   I8  a row with a revision that we have, but another content, is never dropped as a duplicate
-- It takes the lock of local.node before it looks at anything that decides: a plain read would let a
-- writer commit after a freeze returned, and so would FOR KEY SHARE or an advisory lock under
-- REPEATABLE READ; with the row lock such a writer gets 40001.

create type local.log_point as (revision bigint, epoch bigint, holder text collate "C", hash bytea);

-- Where the log ends here. One row, once the node exists.
create view local.head as
select coalesce(l.revision, n.log_base) as revision, coalesce(l.epoch, n.log_base_epoch) as epoch,
    coalesce(l.holder, n.log_base_holder) as holder, coalesce(l.hash, n.log_base_hash) as hash
from local.node n left join lateral (
    select g.revision, g.epoch, g.holder, g.hash from shared.log g order by g.revision desc limit 1) l on true;
grant select on local.head to baton;

-- May this node write now? One definition for the trigger, the functions and the status.
create function local.writable(n local.node) returns boolean
language sql stable as $$
    select coalesce(n.is_primary and not n.frozen
        and n.opened_pg operator(pg_catalog.=) pg_catalog.pg_postmaster_start_time()
        and (n.promised, n.promised_holder) operator(pg_catalog.=) (n.epoch, n.epoch_holder), false)
$$;

create function local.fail_fenced(n local.node) returns void
language plpgsql as $$
begin
    perform local.fail('25006', 'fenced', 'fenced: ' || case
        when n.name is null then 'this database has no node yet'
        when not n.is_primary then format('node %s is not primary', n.name)
        when (n.promised, n.promised_holder) <> (n.epoch, n.epoch_holder) then format(
            'epoch %s/%s is promised, ours is %s/%s', n.promised, n.promised_holder, n.epoch, n.epoch_holder)
        when n.frozen then 'a promotion holds the writes'
        else 'PostgreSQL was restarted after this epoch was opened' end,
        'write to the primary node');
end
$$;

-- The scope of a key, NULL for an unknown one.
create function local.key_scope(key text) returns text
language plpgsql stable as $$
declare
    slashes constant integer := length(key) - length(replace(key, '/', ''));
    scope text;
begin
    select r.scope into scope from local.key_rule r
    where key like r.matcher and (r.depth is null or r.depth = slashes)
    order by length(r.pattern) desc, r.pattern limit 1;
    return scope;
end
$$;

-- The rule that shares most of its beginning and end with 'key'; for messages only.
create function local.key_nearest(key text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select r.pattern from local.key_rule r, lateral (
        select count(*) filter (where left(key, i) = left(r.pattern, i))
            + count(*) filter (where right(key, i) = right(r.pattern, i)) as shared
        from generate_series(1, least(length(key), length(r.pattern))) i) c
    where r.scope <> 'system'
    order by c.shared desc, length(r.pattern), r.pattern limit 1
$$;

-- What is wrong with a change, or NULL. Limits hold for what is written here; a replicated row was
-- checked where it was written. 'system' says whether Baton's own keys are allowed; 'scope' is the key's,
-- if the caller knows it.
create function local.change_fault(site text, key text, value jsonb, system boolean, scope text default null)
returns local.fault
language plpgsql stable as $$
declare
    key_size_max constant integer := 255;
    value_size_max constant integer := 262144;
    rule text;
begin
    if key is null or key = '' or octet_length(key) > key_size_max then
        return row('limit', 'key_too_long',
            format('key ''%s'' has %s bytes, allowed are 1 to %s', left(key, 40),
                coalesce(octet_length(key), 0), key_size_max),
            'choose a shorter key')::local.fault;
    end if;
    if key !~ '^[A-Za-z0-9._~@:+-]+(/[A-Za-z0-9._~@:+-]+)*$' then
        return row('invalid', 'key_spelling',
            format('key ''%s'' is not made of words joined by ''/''', key),
            'use letters, digits and . _ ~ @ : + - in the words')::local.fault;
    end if;
    if site <> '' and site !~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' then
        return row('invalid', 'site_spelling', format('site ''%s'' is not a name', left(site, 80)),
            'use a-z, 0-9 and - , at most 63')::local.fault;
    end if;
    if octet_length(value::text) > value_size_max then
        return row('limit', 'value_too_large',
            format('value of ''%s'' has %s bytes, at most %s', key, octet_length(value::text), value_size_max),
            'keep large things elsewhere and store where they are')::local.fault;
    end if;
    rule := coalesce(scope, local.key_scope(key));
    if rule = 'site' or rule = 'cluster' and site = '' or rule = 'system' and site = '' and system then
        return null;
    end if;
    if rule is null and value is null and exists (select from shared.config c where c.key = change_fault.key
            and c.site = change_fault.site) then
        return null; -- what an older version knew may always be removed
    end if;
    if rule = 'node' then
        return row('invalid', 'key_scope', format('key ''%s'' belongs to each node alone and is never shared', key),
            format('baton local set %s VALUE', key))::local.fault;
    elsif rule = 'system' then
        return row('invalid', 'key_system', format('key ''%s'' is written by Baton itself', key),
            'use the command for it: node, token, user, promote')::local.fault;
    elsif rule = 'cluster' then
        return row('invalid', 'key_scope', format('key ''%s'' holds for the whole cluster, not for site ''%s''',
            key, site), 'leave the site out')::local.fault;
    end if;
    return row('invalid', 'key_unknown', format('key ''%s'' is unknown', key),
        format('the nearest known one is ''%s''; own keys go under app/', local.key_nearest(key)))::local.fault;
end
$$;

-- A row that we have: fine when it is the same, a fork when not. An apply worker that let a different
-- row pass would acknowledge to its sender what is not here.
create function local.log_duplicate(n local.node, revision bigint, epoch bigint, holder text, hash bytea)
returns void language plpgsql as $$
declare
    ours bytea;
begin
    if revision > n.log_base then
        select l.hash into ours from shared.log l where l.revision = log_duplicate.revision;
    elsif revision = n.log_base then
        ours := n.log_base_hash;
    elsif (epoch, holder collate "C") >= (n.promised, n.promised_holder) then
        return; -- overlap of a stream with a snapshot from the same primary
    end if;
    if ours is distinct from hash then
        perform local.fail('BT008', 'fork', format('revision %s of epoch %s/%s is another row here%s',
            revision, epoch, holder, case when ours is null then ' (or pruned)' else '' end),
            'the sender must set its tail aside; drop its slot and attach anew');
    end if;
end
$$;

-- Is this the apply worker of the subscription to whom we promised? What that node has of older epochs it
-- had before its own promise, so it is part of what its capture found, and may come by its stream: a
-- standby that is a few rows behind at a switchover goes on without a pull.
create function local.from_promised(n local.node) returns boolean
language plpgsql stable as $$
begin
    return exists (select from pg_stat_subscription s where s.pid = pg_backend_pid()
        and s.subname = 'baton_' || replace(n.promised_holder, '-', '_'));
end
$$;

-- Has a row of this transaction passed the gate?
create function local.log_begun() returns boolean
language plpgsql stable as $$
begin
    return starts_with(current_setting('baton.log_config', true), pg_current_xact_id_if_assigned() || ' ') is true;
end
$$;

-- The lock is taken and the writer or sender is right: notes for local.config_make() where the config
-- stands, and wakes the listeners, once for each transaction.
create function local.log_begin(revision bigint) returns text
language plpgsql as $$
declare
    mark text;
begin
    if not local.log_begun() then
        mark := set_config('baton.log_config', pg_current_xact_id() || ' ' || revision, true);
        if current_setting('baton.catchup', true) is distinct from '1' then
            mark := pg_notify('baton_log', (revision + 1)::text);
        end if;
    end if;
    return null;
end
$$;

-- Functions that others may call begin with this: whatever the caller left there is not from a row.
create function local.log_forget() returns text
language plpgsql as $$
declare
    mark text;
begin
    mark := set_config('baton.log_head', '', true);
    mark := set_config('baton.log_config', '', true);
    return null;
end
$$;

-- What a row that others wrote must fulfil as the first of its transaction or epoch; raises. 'n' is locked.
create function local.check_sender(n local.node, head local.log_point, new_row shared.log) returns text
language plpgsql as $$
begin
    if n.is_primary then
        perform local.fail('BT009', 'primary', format('primary of %s/%s takes no row %s of %s/%s',
            n.epoch, n.epoch_holder, new_row.revision, new_row.epoch, new_row.holder), 'fence this node first');
    end if;
    if (new_row.epoch, new_row.holder) < (n.promised, n.promised_holder) and not local.log_begun()
            and current_setting('baton.catchup', true) is distinct from '1'
            and not local.from_promised(n) then
        perform local.fail('BT003', 'promised', format('%s/%s is promised, revision %s of %s/%s is refused', n.promised,
            n.promised_holder, new_row.revision, new_row.epoch, new_row.holder), 'attach to the new primary');
    end if;
    if (new_row.epoch, new_row.holder) < (head.epoch, head.holder) then
        perform local.fail('BT002', 'stale_epoch', format('revision %s has epoch %s/%s, the row before %s/%s',
            new_row.revision, new_row.epoch, new_row.holder, head.epoch, head.holder), 'detach from this sender');
    end if;
    return null;
end
$$;

-- What a row written here must fulfil; raises. 'n' is locked.
create function local.check_writer(n local.node, head local.log_point, new_row shared.log) returns void
language plpgsql as $$
begin
    if not local.writable(n) then
        perform local.fail_fenced(n);
    end if;
    if new_row.key <> 'epoch' and (head.epoch, head.holder) <> (n.epoch, n.epoch_holder) then
        perform local.fail('25006', 'fenced', format('fenced: epoch %s/%s has no epoch row yet',
            n.epoch, n.epoch_holder), 'the new primary writes it first');
    end if;
    if new_row.epoch <> n.epoch or new_row.holder <> n.epoch_holder then
        perform local.fail('BT002', 'stale_epoch', format('a write for epoch %s/%s in epoch %s/%s',
            new_row.epoch, new_row.holder, n.epoch, n.epoch_holder), 'ask for the epoch again');
    end if;
    if new_row.txn not between 1 and head.revision + 1 then
        perform local.fail('BT001', 'txn', format('revision %s begins at %s', head.revision + 1, new_row.txn), '');
    end if;
end
$$;

-- What a row leaves for the next one of its transaction: the transaction, where the log ends now, and the
-- hash there, which comes last.
create function local.log_mark(xact text, revision bigint, epoch bigint, holder text) returns text
language sql stable as $$
    select pg_catalog.concat(xact, ' ', revision, ' ', epoch, ' ', holder, ' ')
$$;

-- A row that is the first of its transaction or of its epoch, or that is written without shared.write():
-- takes the lock and decides. Returns what comes before it, with the epoch that it belongs to; NULL: the
-- row is here already.
create function local.log_first(new_row shared.log, replicated boolean) returns local.log_point
language plpgsql as $$
declare
    n local.node;
    head local.log_point;
    starts boolean; -- does an epoch start with this row?
    mark text;
begin
    if replicated and current_setting('baton.log_last', true) is distinct from (new_row.revision - 1)::text then
        -- The usual duplicate costs no lock: with subscriptions in all directions each row comes often. A
        -- session that brought the row before will mostly be the first to bring this one, too.
        select l.revision into head.revision from shared.log l order by l.revision desc limit 1;
        if new_row.revision <= head.revision then
            select * into n from local.node;
            perform local.log_duplicate(n, new_row.revision, new_row.epoch, new_row.holder, new_row.hash);
            if current_setting('baton.rehearsed', true) is distinct from '1' then
                perform local.rehearse_stream();
            end if;
            return null;
        end if;
    end if;
    update local.node set changed_by = pg_current_xact_id() returning * into n; -- takes the lock
    if n.name is null then
        perform local.fail_fenced(n);
    end if;
    -- Only after the lock: under READ COMMITTED this statement sees all that its last owner committed.
    select l.revision, l.epoch, l.holder, l.hash into head from shared.log l order by l.revision desc limit 1;
    if not found then
        head := row(n.log_base, n.log_base_epoch, n.log_base_holder, n.log_base_hash);
    end if;
    if not replicated then
        perform local.check_writer(n, head, new_row);
        starts := (head.epoch, head.holder) <> (n.epoch, n.epoch_holder);
        head.epoch := n.epoch;
        head.holder := n.epoch_holder;
    elsif new_row.revision <= head.revision then
        perform local.log_duplicate(n, new_row.revision, new_row.epoch, new_row.holder, new_row.hash);
        return null;
    else
        mark := local.check_sender(n, head, new_row);
        mark := set_config('baton.log_last', new_row.revision::text, false);
        starts := (new_row.epoch, new_row.holder) > (head.epoch, head.holder);
        head.epoch := new_row.epoch;
        head.holder := new_row.holder;
    end if;
    if new_row.revision <> head.revision + 1 then
        perform local.fail('BT001', 'gap', format('gap: have revision %s, got %s', head.revision, new_row.revision),
            'pull the rows between');
    end if;
    mark := local.log_begin(head.revision);
    if starts then
        insert into local.epoch_start (epoch, holder, revision) values (head.epoch, head.holder, head.revision + 1);
        -- A row of an epoch proves that it was granted: promise it, so that no lower one gets our vote.
        update local.node t set promised = head.epoch, promised_holder = head.holder
        where (t.promised, t.promised_holder) < (head.epoch, head.holder);
    end if;
    return head;
end
$$;

create function local.log_insert() returns trigger
language plpgsql as $$
declare
    replicated constant boolean :=
        pg_catalog.current_setting('session_replication_role') operator(pg_catalog.=) 'replica';
    xact text := pg_catalog.pg_current_xact_id_if_assigned();
    mark text := pg_catalog.current_setting('baton.log_head', true);
    value_text constant text := new.value;
    head local.log_point;
    before bytea; -- hash of the row before
    fault local.fault;
begin
    -- Our functions pin the path, the apply worker has an empty one; a SET clause here would cost a
    -- fifth of the whole write. Only a superuser can come with another.
    if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) all (array['pg_catalog, pg_temp', '']) then
        perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    end if;

    if starts_with(mark, local.log_mark(xact, new.revision - 1, new.epoch, new.holder))
            and (replicated or current_setting('baton.checked', true) = '1') then
        -- The next row of this transaction and epoch: the lock is ours, nothing changed but by the row
        -- before, and that left its mark. Functions that others may call clear it, so nobody else can.
        before := decode(right(mark, 64), 'hex');
    else
        head := local.log_first(new, replicated);
        if head.revision is null then
            return null;
        end if;
        xact := pg_current_xact_id();
        before := head.hash;
        if not replicated then
            if current_setting('baton.checked', true) is distinct from '1' then
                fault := local.change_fault(new.site, new.key, new.value, true);
                if fault.slug is not null then
                    perform local.fail(case fault.code when 'limit' then 'BT006' else 'BT005' end,
                        fault.slug, fault.message, fault.mend);
                end if;
            end if;
            new.revision := head.revision + 1;
            new.epoch := head.epoch;
            new.holder := head.holder;
            new.txn := coalesce(new.txn, new.revision);
        end if;
    end if;

    if not replicated then
        new.at := clock_timestamp();
        new.hash := local.log_hash(before, new.revision, new.epoch, new.holder, new.txn,
            new.site, new.key, value_text, new.author, new.at, new.reason);
    elsif new.hash is distinct from local.log_hash(before, new.revision, new.epoch, new.holder, new.txn,
            new.site, new.key, value_text, new.author, new.at, new.reason) then
        perform local.fail('BT004', 'hash', format('revision %s does not follow from ours or was altered',
            new.revision), 'compare the logs: set aside the tail of the one that left the primary''s');
    end if;
    if new.value is null then
        mark := set_config('baton.log_gone', xact || ' ', true);
    end if;
    mark := set_config('baton.log_head', local.log_mark(xact, new.revision, new.epoch, new.holder)
        || encode(new.hash, 'hex'), true);
    return new;
end
$$;
create trigger log_insert before insert on shared.log for each row execute function local.log_insert();
alter table shared.log enable always trigger log_insert;

-- Brings shared.config to the head of the log, from where it stands: each key as its newest row has it.
-- The settings are for plans by the index, however small the log was when they were made; they cost as
-- much as one row does, which needs none of them.
create function local.config_bring(have bigint, gone boolean) returns text
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
begin
    insert into shared.config as c (site, key, value, revision, epoch, author, at)
    select t.site, t.key, t.value, t.revision, t.epoch, t.author, t.at
    from (select distinct on (l.key, l.site) l.* from shared.log l where l.revision > have
        order by l.key, l.site, l.revision desc) t
    where t.value is not null
    on conflict (key, site) do update set value = excluded.value, revision = excluded.revision,
        epoch = excluded.epoch, author = excluded.author, at = excluded.at;
    if gone then
        delete from shared.config c using (select distinct on (l.key, l.site) l.key, l.site, l.value
            from shared.log l where l.revision > have order by l.key, l.site, l.revision desc) t
        where t.value is null and c.key = t.key and c.site = t.site;
    end if;
    return null;
end
$$;

-- When the rows of a transaction are in. The gate tells where the config stands; the row of local.node is
-- locked, so nobody else moves it or the log. By the statement and not by the row, which would cost
-- twice as much: after a statement, where there are statements; an apply worker has none, so it does it
-- when its transaction ends.
create function local.config_make() returns trigger
language plpgsql as $$
declare
    xact constant text := pg_current_xact_id_if_assigned() || ' ';
    head constant text := xact || split_part(current_setting('baton.log_head', true), ' ', 2);
    mark text := current_setting('baton.log_config', true);
    have bigint;
    gone boolean;
begin
    if starts_with(mark, xact) is not true or mark = head then
        return null; -- nothing came into the log
    end if;
    have := substr(mark, length(xact) + 1);
    gone := starts_with(current_setting('baton.log_gone', true), xact);
    if head = xact || (have + 1) and gone is not true then
        insert into shared.config as c (site, key, value, revision, epoch, author, at)
        select l.site, l.key, l.value, l.revision, l.epoch, l.author, l.at
        from shared.log l where l.revision > have order by l.revision limit 1
        on conflict (key, site) do update set value = excluded.value, revision = excluded.revision,
            epoch = excluded.epoch, author = excluded.author, at = excluded.at;
    else
        mark := local.config_bring(have, gone);
    end if;
    mark := set_config('baton.log_config', head, true);
    return null;
end
$$;
create trigger log_config after insert on shared.log for each statement execute function local.config_make();
alter table shared.log enable always trigger log_config;
create constraint trigger log_config after update of changed_by on local.node deferrable initially deferred
for each row execute function local.config_make();
alter table local.node enable replica trigger log_config;
