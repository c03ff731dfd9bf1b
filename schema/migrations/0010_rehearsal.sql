-- Rehearsals. What a switchover runs while nobody can write has, in a session that never ran it, to be
-- compiled and planned first: some 30 ms of CPU in all, against 5 without. So each session that may be
-- asked plays its part once when it has begun, and takes all of it back.

-- Every step of taking the role and giving it away, writes included, in a subtransaction that is undone:
-- no row, no promise and no notification stays. Returns whether it went to its end; false on a node that
-- may write, where others would wait for the lock.
create function local.rehearse() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    done constant text := 'BT000';
    n local.node;
    answer jsonb;
begin
    -- What is undone still gets a COMMIT, and that must not wait for standbys.
    perform set_config('synchronous_commit', 'local', true);
    begin
        perform set_config('lock_timeout', '1s', true);
        select * into n from local.node for update;
        if n.name is null or local.writable(n) then
            return false;
        end if;
        perform local.capture(n.promised + 1, n.name);
        perform local.tenure_set(null);
        perform local.open(n.promised + 1, n.name);
        answer := shared.write(jsonb_build_array(
            '{"author": "baton", "changes": [{"key": "epoch", "value": null}]}'::jsonb,
            '{"author": "baton", "changes": [{"key": "app/rehearsal", "value": 1}]}'::jsonb));
        answer := shared.write(jsonb_build_array(
            '{"author": "baton", "changes": [{"key": "app/rehearsal", "delete": true, "if_match": 0}]}'::jsonb));
        perform local.freeze();
        perform local.thaw(n.promised + 1, n.name);
        perform local.fence();
        raise exception 'undo' using errcode = done;
    exception
        when sqlstate 'BT000' then
            return true;
        when others then
            return false;
    end;
end
$$;

grant execute on function local.rehearse() to baton;

-- The same for an apply worker. The subscription that a switchover makes towards the candidate brings, as
-- long as the old primary writes, rows that came from there already; the first such duplicate is the
-- cue to take in a row as if it were the next, and undo that. Called by local.log_insert().
create function local.rehearse_stream() returns boolean
language plpgsql as $$
declare
    n local.node;
    head local.log_point;
begin
    begin
        select * into n from local.node for update skip locked;
        if n.name is null then
            return false; -- the stream that we follow has it just now; there will be another duplicate
        end if;
        if n.is_primary then -- the old one, which will be a standby
            update local.node set is_primary = false;
        end if;
        select * into head from local.head;
        insert into shared.log (revision, epoch, holder, txn, site, key, value, author, at, reason, hash)
        select head.revision + 1, n.promised, n.promised_holder, head.revision + 1, '', 'app/rehearsal', '1', 'baton',
            now(), null, local.log_hash(head.hash, head.revision + 1, n.promised, n.promised_holder,
                head.revision + 1, '', 'app/rehearsal', '1', 'baton', now(), null);
        raise exception 'undo' using errcode = 'BT000';
    exception
        when sqlstate 'BT000' then
            perform set_config('baton.rehearsed', '1', false);
            return true;
        when others then -- a real row will say what is wrong here
            perform set_config('baton.rehearsed', '1', false);
            return false;
    end;
end
$$;
