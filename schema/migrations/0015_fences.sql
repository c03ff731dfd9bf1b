-- A fence ends what was asked before it. On one connection it does, for it comes later. But a daemon that was killed, or
-- that dropped a connection, leaves what it had sent in the server, and a server that was busy, or stopped, comes to that
-- when it likes: an OPEN could follow the fence with which the next connection begins, and nobody would know that this
-- database is open. So fences are counted, a session remembers the one that it made, and only the session of the last one
-- opens or resumes.

alter table local.node add column fences bigint not null default 0;

create or replace function local.fence() returns setof local.node_position
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    n local.node := local.seize();
begin
    update local.node t set is_primary = false, frozen = false, fences = t.fences + 1 returning * into n;
    if found then
        perform set_config('baton.fences', n.fences::text, false);
        return next local.as_position(n);
    end if;
end
$$;

create or replace function local.check_turn(n local.node, epoch bigint, holder text) returns void
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
    if n.fences > 0 and current_setting('baton.fences', true) is distinct from n.fences::text then
        perform local.fail('BT011', 'fenced_since', format('epoch %s/%s: another session has fenced this database',
            epoch, holder), 'only the session that fenced last opens it (I11): fence, then open');
    end if;
end
$$;

-- As before, but fenced first: the session of a writer has never done that, and could not open.
create or replace function local.rehearse() returns boolean
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
        perform local.fence();
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
        raise exception 'undo' using errcode = done;
    exception
        when sqlstate 'BT000' then
            return true;
        when others then
            return false;
    end;
end
$$;
