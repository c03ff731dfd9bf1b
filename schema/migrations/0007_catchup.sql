-- Moving the log outside of replication: pulling what a stream did not bring, finding where two logs
-- part, setting a forked tail aside, snapshots for nodes older than the kept log, and pruning.

-- Full rows after a revision, oldest first, for a peer's local.catchup(). A group is never cut; 'rows_max'
-- and 4 MiB are passed by at most one group. BT010: the log does not reach back so far.
create function local.log_rows(after bigint, rows_max integer) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    bytes_max constant bigint := 4194304;
    last bigint;
    answer jsonb;
begin
    if after < (select n.log_base from local.node n) then
        perform local.fail('BT010', 'needs_snapshot', format('the log here starts after revision %s, asked was %s',
            (select n.log_base from local.node n), after), 'take a snapshot');
    end if;
    -- the last row that begins within the bounds ends its whole group
    select max(w.txn) into last from (select l.txn, sum(coalesce(pg_column_size(l.value), 0) + 400)
        over (order by l.revision) - coalesce(pg_column_size(l.value), 0) - 400 as before
        from shared.log l where l.revision > after order by l.revision limit greatest(rows_max, 1)) w
        where w.before < bytes_max;
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('revision', l.revision, 'epoch', l.epoch,
        'holder', l.holder, 'txn', l.txn, 'site', l.site, 'key', l.key, 'author', l.author,
        'at', (extract(epoch from l.at) * 1000000)::bigint, 'reason', l.reason,
        'hash', encode(l.hash, 'hex')))
        || case when l.value is null then '{"delete": true}' else jsonb_build_object('value', l.value) end
        order by l.revision) into answer
        from shared.log l where l.revision > after and l.txn <= last;
    return coalesce(answer, '[]');
end
$$;

-- What is done for an epoch is done only while no later one is promised.
create function local.check_behalf(n local.node, epoch bigint, holder text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if (n.promised, n.promised_holder) > (epoch, holder collate "C") then
        perform local.fail('BT003', 'promised', format('promised is %s/%s, later than %s/%s', n.promised,
            n.promised_holder, epoch, holder), 'follow the later epoch');
    end if;
end
$$;

-- Brings rows of local.log_rows() in, through the same gate as a stream; older epochs than the promise
-- are allowed here, because only the daemon pulls, and it knows from whom. Returns the new revision.
create function local.catchup(rows jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' set session_replication_role = replica set baton.catchup = '1' as $$
declare
    head bigint;
begin
    perform local.log_forget();
    insert into shared.log (revision, epoch, holder, txn, site, key, value, author, at, reason, hash)
    select r.revision, r.epoch, r.holder, r.txn, r.site, r.key,
        case when r.delete then null else e.item -> 'value' end, r.author,
        timestamptz 'epoch' + r.at * interval '1 microsecond', r.reason, decode(r.hash, 'hex')
    from jsonb_array_elements(rows) e (item),
        jsonb_to_record(e.item) r (revision bigint, epoch bigint, holder text, txn bigint, site text,
            key text, delete boolean, author text, at bigint, reason text, hash text)
    order by r.revision;
    select h.revision into head from local.head h;
    perform pg_notify('baton_log', head::text);
    return head;
end
$$;

-- The same on behalf of an epoch: of the primary that we follow, or of the promotion that runs here.
-- BT003: a later one is promised meanwhile: a row that came now would look acknowledged to a primary
-- whose capture did not count it.
create function local.catchup_for(rows jsonb, epoch bigint, holder text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node;
begin
    select * into n from local.node for update;
    perform local.check_behalf(n, epoch, holder);
    return local.catchup(rows);
end
$$;

-- Points of our log for local.match() on a peer, at most 64, newest first. Without bounds: dense at the
-- tail, ever sparser below, the base always among them. With bounds: evenly within (low, high], for
-- the next round between a point that matched and the one above that did not.
create function local.points(low bigint default null, high bigint default null)
returns table (revision bigint, hash text, epoch bigint, holder text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with node as (
        select n.*, greatest(coalesce(low, n.log_base), n.log_base) as bottom,
            least(coalesce(high, h.revision), h.revision) as top from local.node n, local.head h
    ), wanted as (
        select distinct case
            when low is null and high is null then greatest(node.bottom, node.top - case when i < 24 then i
                else (24 * power(1.55, i - 24))::bigint end)
            else greatest(node.bottom, node.top - (i * greatest(1, (node.top - node.bottom) / 62.0))::bigint)
            end as revision
        from node, generate_series(0, 62) i
        union select node.log_base from node where low is null and high is null
    )
    select w.revision, encode(coalesce(l.hash, node.log_base_hash), 'hex'),
        coalesce(l.epoch, node.log_base_epoch), coalesce(l.holder, node.log_base_holder)
    from wanted w cross join node left join shared.log l on l.revision = w.revision
    where l.revision is not null or w.revision = node.log_base
    order by w.revision desc
$$;

-- Is (revision, epoch, holder) on the history whose epochs began as told in 'starts'?
create function local.in_history(revision bigint, epoch bigint, holder text, starts jsonb) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(bool_or(s.epoch = in_history.epoch and s.holder = in_history.holder
        and s.revision <= in_history.revision
        and (s.ends is null or s.ends > in_history.revision)), false)
    from (select p.epoch, p.holder, p.revision,
            lead(p.revision) over (order by p.revision) as ends
        from jsonb_to_recordset(starts) p (epoch bigint, holder text, revision bigint)) s
$$;

-- The largest of a peer's points [{"revision", "hash", "epoch", "holder"}] that is in our history: by
-- its hash where we have the row, by the epochs (I2, I7) where the row is pruned. NULL: none.
create function local.match(points jsonb) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select max(p.revision)
    from local.node n, jsonb_to_recordset(points) p (revision bigint, hash text, epoch bigint, holder text)
    left join shared.log l on l.revision = p.revision
    where encode(l.hash, 'hex') = p.hash
        or p.revision = n.log_base and encode(n.log_base_hash, 'hex') = p.hash
        or p.revision = 0 and encode(sha256(convert_to(n.cluster_id::text, 'UTF8')), 'hex') = p.hash
        or p.revision < n.log_base and local.in_history(p.revision, p.epoch, p.holder,
            (select jsonb_agg(to_jsonb(s)) from local.epoch_start s))
$$;

create function local.check_not_primary(n local.node) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if n.name is null then
        perform local.fail_fenced(n);
    end if;
    if n.is_primary then
        perform local.fail('BT009', 'primary', format('node %s is primary of %s/%s',
            n.name, n.epoch, n.epoch_holder), 'fence this node first');
    end if;
end
$$;

-- The log ends at 'common' now: forgets the epochs above, wakes the listeners.
create function local.head_back(common bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    delete from local.epoch_start s where s.revision > common;
    update local.node set changed_by = pg_current_xact_id();
    perform pg_notify('baton_log', common::text);
end
$$;

create function local.give_up_for(epoch bigint, holder text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from local.head h where (h.epoch, h.holder) >= (give_up_for.epoch, give_up_for.holder collate "C")) then
        perform local.fail('BT012', 'no_fork', format('the head here is of epoch %s/%s or later', epoch, holder),
            'compare the logs again');
    end if;
    update local.node n set promised = give_up_for.epoch, promised_holder = give_up_for.holder
    where (n.promised, n.promised_holder) < (give_up_for.epoch, give_up_for.holder collate "C");
end
$$;

-- What Baton wrote for itself (who held which epoch, with whom, and how it came to that) tells of a role
-- that is over: it is shown with its batch, and nobody is asked about it. What came of a command (node/,
-- token/, user/ ...) is a person's, and so is kept.
create function local.setaside_taken(batch_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    taken bigint;
    own bigint;
begin
    update local.setaside s set state = 'discarded', decided_by = 'baton', decided_at = clock_timestamp()
    where s.batch = batch_id and (s.key in ('epoch', 'sync/set') or s.key like 'promotion/%');
    get diagnostics own = row_count;
    select count(*) into taken from local.setaside s where s.batch = batch_id;
    perform local.event_add('setaside', jsonb_build_object('batch', batch_id, 'rows', taken, 'discarded', own));
    return taken;
end
$$;

-- I8: what only this node has goes to local.setaside, and shared.config back to revision 'common', which
-- a peer's local.match() told. Returns the number of rows. The epoch against which it is done is promised
-- with it: who gave rows up for it goes back to no earlier one. BT009: this node is primary. BT003: a
-- later epoch is promised. BT012: rows of that very epoch are no fork, they came from its primary, which
-- may not see them itself yet while their COMMIT waits. BT010: the log does not reach back to 'common':
-- local.setaside_all(), then a snapshot.
create function local.setaside_tail(common bigint, against_epoch bigint, against_holder text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' set session_replication_role = replica as $$
declare
    n local.node;
    batch_id bigint;
    taken bigint;
begin
    select * into n from local.node for update;
    perform local.check_not_primary(n);
    perform local.check_behalf(n, against_epoch, against_holder);
    if common < n.log_base then
        perform local.fail('BT010', 'needs_snapshot', format('the log here starts after revision %s, common is %s',
            n.log_base, common), 'set all aside and take a snapshot');
    end if;
    if common >= (select h.revision from local.head h) then
        return 0;
    end if;
    perform local.give_up_for(against_epoch, against_holder);
    batch_id := nextval('local.setaside_batch');
    insert into local.setaside (batch, revision, epoch, holder, txn, site, key, value, author, at, reason,
        hash, against_epoch, against_holder)
    select batch_id, l.revision, l.epoch, l.holder, l.txn, l.site, l.key, l.value, l.author, l.at, l.reason,
        l.hash, setaside_tail.against_epoch, setaside_tail.against_holder
    from shared.log l where l.revision > common order by l.revision;
    taken := local.setaside_taken(batch_id);
    delete from shared.log l where l.revision > common;

    -- Each touched key as its last surviving row, or the base, has it.
    delete from shared.config c where exists (select from local.setaside s
        where s.batch = batch_id and s.site = c.site and s.key = c.key);
    insert into shared.config (site, key, value, revision, epoch, author, at)
    select t.site, t.key, v.value, v.revision, v.epoch, v.author, v.at
    from (select distinct s.site, s.key from local.setaside s where s.batch = batch_id) t,
        lateral (
            (select l.value, l.revision, l.epoch, l.author, l.at from shared.log l
                where l.key = t.key and l.site = t.site order by l.revision desc limit 1)
            union all
            (select b.value, b.revision, b.epoch, b.author, b.at from local.config_base b
                where b.key = t.key and b.site = t.site)
            order by revision desc limit 1) v
    where v.value is not null;
    perform local.head_back(common);
    return taken;
end
$$;

-- When the fork lies below the kept log: all rows above 'common' that are still told apart go to
-- local.setaside (from the log, and from the state at its base), and the node is empty: it needs a
-- snapshot. Returns the number of rows.
create function local.setaside_all(common bigint, against_epoch bigint, against_holder text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' set session_replication_role = replica as $$
declare
    n local.node;
    batch_id constant bigint := nextval('local.setaside_batch');
    taken bigint;
begin
    select * into n from local.node for update;
    perform local.check_not_primary(n);
    perform local.check_behalf(n, against_epoch, against_holder);
    perform local.give_up_for(against_epoch, against_holder);
    insert into local.setaside (batch, revision, epoch, holder, txn, site, key, value, author, at, reason,
        hash, against_epoch, against_holder)
    select batch_id, r.revision, r.epoch, r.holder, r.txn, r.site, r.key, r.value, r.author, r.at, r.reason,
        r.hash, setaside_all.against_epoch, setaside_all.against_holder
    from (select l.* from shared.log l
        union all
        select b.revision, b.epoch, n.log_base_holder, b.revision, b.site, b.key, b.value, b.author, b.at,
            'known from the state only', ''::bytea
        from local.config_base b) r
    where r.revision > common order by r.revision;
    taken := local.setaside_taken(batch_id);
    delete from shared.log;
    delete from shared.config;
    delete from local.config_base;
    update local.node t set log_base = 0, log_base_epoch = 0, log_base_holder = '',
        log_base_hash = sha256(convert_to(t.cluster_id::text, 'UTF8'));
    perform local.head_back(0);
    return taken;
end
$$;

-- The state as one document, for a node that is older than the kept log.
create function local.snapshot_make() returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('cluster_id', n.cluster_id, 'revision', h.revision, 'epoch', h.epoch,
        'holder', h.holder, 'hash', encode(h.hash, 'hex'),
        'epochs', coalesce((select jsonb_agg(to_jsonb(s) order by s.revision) from local.epoch_start s), '[]'),
        'config', coalesce((select jsonb_agg(jsonb_build_object('site', c.site, 'key', c.key,
                'value', c.value, 'revision', c.revision, 'epoch', c.epoch, 'author', c.author,
                'at', (extract(epoch from c.at) * 1000000)::bigint) order by c.key, c.site)
            from shared.config c), '[]'))
    from local.node n, local.head h
$$;

-- Replaces log and state by a snapshot; the log starts anew after it. Returns its revision.
-- BT009: this node is primary. BT008: our head is not in the snapshot's history: set aside first.
-- BT011: the snapshot is of another cluster, or not newer than what is here.
create function local.snapshot_load(doc jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' set session_replication_role = replica as $$
declare
    n local.node;
    ours local.log_point;
    head constant bigint := doc ->> 'revision';
begin
    select * into n from local.node for update;
    perform local.check_not_primary(n);
    select * into ours from local.head;
    if (doc ->> 'cluster_id')::uuid is distinct from n.cluster_id or head is null then
        perform local.fail('BT011', 'other_cluster', format('the snapshot is of cluster %s, this node of %s',
            doc ->> 'cluster_id', n.cluster_id), 'ask a member of this cluster');
    end if;
    if head <= ours.revision then
        perform local.fail('BT011', 'snapshot_old', format('the snapshot has revision %s, this node %s',
            head, ours.revision), 'pull the rows, or set the tail aside first');
    end if;
    if ours.revision > 0 and not local.in_history(ours.revision, ours.epoch, ours.holder, doc -> 'epochs') then
        perform local.fail('BT008', 'fork', format('revision %s of epoch %s/%s is not in the snapshot''s history',
            ours.revision, ours.epoch, ours.holder), 'set the tail aside first');
    end if;
    delete from shared.log;
    delete from shared.config;
    delete from local.config_base;
    delete from local.epoch_start;
    insert into local.epoch_start (epoch, holder, revision)
    select s.epoch, s.holder, s.revision
    from jsonb_to_recordset(doc -> 'epochs') s (epoch bigint, holder text, revision bigint);
    insert into local.config_base (site, key, value, revision, epoch, author, at)
    select r.site, r.key, e.item -> 'value', r.revision, r.epoch, r.author,
        timestamptz 'epoch' + r.at * interval '1 microsecond'
    from jsonb_array_elements(doc -> 'config') e (item), jsonb_to_record(e.item) r (site text, key text,
        revision bigint, epoch bigint, author text, at bigint);
    insert into shared.config select * from local.config_base;
    update local.node t set changed_by = pg_current_xact_id(), log_base = head,
        log_base_epoch = (doc ->> 'epoch')::bigint, log_base_holder = doc ->> 'holder',
        log_base_hash = decode(doc ->> 'hash', 'hex');
    if ((doc ->> 'epoch')::bigint, (doc ->> 'holder') collate "C") > (n.promised, n.promised_holder) then
        update local.node t set promised = (doc ->> 'epoch')::bigint, promised_holder = doc ->> 'holder';
    end if;
    perform pg_notify('baton_log', head::text);
    return head;
end
$$;

-- Forgets the oldest rows that are neither among the newest 'keep_rows' nor younger than 'keep_days'; at
-- most 10,000 at a time, whole groups only. Their effect moves to local.config_base. Returns how many.
create function local.log_prune(keep_rows bigint, keep_days integer) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '2s' set session_replication_role = replica as $$
declare
    rows_max constant bigint := 10000;
    n local.node;
    cut bigint;
    last shared.log;
    pruned bigint;
begin
    select * into n from local.node for update;
    if n.name is null then
        return 0;
    end if;
    cut := least(n.log_base + rows_max, (select h.revision from local.head h) - greatest(keep_rows, 1));
    select least(cut, min(l.revision) - 1) into cut from shared.log l
        where l.revision > n.log_base and l.revision <= cut
            and l.at >= clock_timestamp() - keep_days * interval '1 day';
    select l.txn - 1 into cut from shared.log l where l.revision = cut + 1;
    if cut is null or cut <= n.log_base then
        return 0;
    end if;
    delete from local.config_base b using shared.log l
    where l.revision <= cut and b.key = l.key and b.site = l.site;
    insert into local.config_base (site, key, value, revision, epoch, author, at)
    select t.site, t.key, t.value, t.revision, t.epoch, t.author, t.at
    from (select distinct on (l.key, l.site) l.* from shared.log l where l.revision <= cut
        order by l.key, l.site, l.revision desc) t
    where t.value is not null;
    select * into last from shared.log l where l.revision = cut;
    delete from shared.log l where l.revision <= cut;
    get diagnostics pruned = row_count;
    update local.node t set log_base = cut, log_base_epoch = last.epoch, log_base_holder = last.holder,
        log_base_hash = last.hash;
    return pruned;
end
$$;

-- The state at a revision. BT010: its rows are pruned. BT011: no such revision yet.
create function local.config_at(at_revision bigint)
returns table (site text, key text, value jsonb, revision bigint, epoch bigint, author text, at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    n local.node;
    newest constant bigint := (select h.revision from local.head h);
begin
    select * into n from local.node;
    if at_revision < n.log_base then
        perform local.fail('BT010', 'pruned', format('the state at revision %s is forgotten, the oldest kept is %s',
            at_revision, n.log_base), 'choose a later revision');
    end if;
    if at_revision > newest then
        perform local.fail('BT011', 'no_revision', format('revision %s is not there, the newest is %s',
            at_revision, newest), 'choose an earlier revision');
    end if;
    return query
    select t.site, t.key, t.value, t.revision, t.epoch, t.author, t.at from (
        select distinct on (r.key, r.site) r.* from (
            select l.site, l.key, l.value, l.revision, l.epoch, l.author, l.at
            from shared.log l where l.revision <= at_revision
            union all
            select b.site, b.key, b.value, b.revision, b.epoch, b.author, b.at from local.config_base b) r
        order by r.key, r.site, r.revision desc) t
    where t.value is not null
    order by t.key, t.site;
end
$$;

-- The changes that bring keys under 'prefix' back to their values at a revision, ready for shared.write();
-- each with if_match, so that a write in between is not lost. Baton's own keys stay.
create function local.rollback_changes(at_revision bigint, prefix text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('site', site, 'key', key, 'if_match', coalesce(c.revision, 0))
        || case when o.value is null then '{"delete": true}' else jsonb_build_object('value', o.value) end
        order by key, site), '[]')
    from local.config_at(at_revision) o full join shared.config c using (site, key)
    where starts_with(key, prefix) and o.value is distinct from c.value
        and local.key_scope(key) is distinct from 'system'
$$;

grant execute on function local.log_rows(bigint, integer), local.catchup(jsonb), local.catchup_for(jsonb, bigint, text),
    local.points(bigint, bigint), local.match(jsonb), local.setaside_tail(bigint, bigint, text),
    local.setaside_all(bigint, bigint, text), local.snapshot_make(), local.snapshot_load(jsonb),
    local.log_prune(bigint, integer), local.config_at(bigint), local.rollback_changes(bigint, text) to baton;
