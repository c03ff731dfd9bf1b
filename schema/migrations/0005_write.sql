-- Writing. shared.write() is the daemon's: many groups in one transaction, so that they share one
-- commit; a group is atomic, and one that is refused leaves nothing and harms no other.
-- shared.set() and shared.unset() are for people with psql.

-- What is wrong with a group, or NULL. The caller holds the lock of local.node, so what is read here
-- stays true until it commits.
create function local.group_fault(item jsonb, n local.node) returns local.fault
language plpgsql stable as $$
declare
    changes constant jsonb := item -> 'changes';
    count_max constant integer := 1000;
    size_max constant integer := 16777216;
    group_match constant bigint := item ->> 'if_match';
    change jsonb;
    change_site text;
    change_key text;
    current bigint;
    wanted bigint;
    fault local.fault;
begin
    if jsonb_typeof(changes) is distinct from 'array' or jsonb_array_length(changes) = 0 then
        return row('invalid', 'no_changes', 'a write needs at least one change',
            'name a key and a value')::local.fault;
    end if;
    if jsonb_array_length(changes) > count_max then
        return row('limit', 'too_many_changes', format('%s changes in one write, at most %s',
            jsonb_array_length(changes), count_max), 'split it')::local.fault;
    end if;
    if pg_column_size(changes) > size_max then -- a group travels whole, also in local.log_rows()
        return row('limit', 'changes_too_large', format('the changes of one write have %s bytes, at most %s',
            pg_column_size(changes), size_max), 'split it')::local.fault;
    end if;
    if coalesce(item ->> 'author', '') = '' or octet_length(item ->> 'author') > 255 then
        return row('invalid', 'author', 'a write needs an author of 1 to 255 bytes', '')::local.fault;
    end if;
    if octet_length(item ->> 'reason') > 1024 then
        return row('limit', 'reason_too_long', format('the reason has %s bytes, at most 1024',
            octet_length(item ->> 'reason')), 'shorten it')::local.fault;
    end if;
    if jsonb_array_length(changes) > 1 then
        if (select count(distinct (c ->> 'key', coalesce(c ->> 'site', ''))) from jsonb_array_elements(changes) c)
                < jsonb_array_length(changes) then
            return row('invalid', 'key_repeated', 'a write names the same key twice',
                'name each key once')::local.fault;
        end if;
    end if;

    for i in 0 .. jsonb_array_length(changes) - 1 loop
        change := changes -> i;
        change_site := coalesce(change ->> 'site', '');
        change_key := change ->> 'key';
        if (change -> 'delete') is not distinct from 'true'::jsonb then
            fault := local.change_fault(change_site, change_key, null, true);
        elsif change ? 'value' then
            fault := local.change_fault(change_site, change_key, change -> 'value', true);
        else
            return row('invalid', 'value_missing', format('key ''%s'' has no value', change_key),
                'give a value, or delete')::local.fault;
        end if;
        if fault.slug is not null then
            return fault;
        end if;
        wanted := change ->> 'if_match';
        if wanted is not null or group_match is not null then
            select c.revision into current from shared.config c where c.key = change_key and c.site = change_site;
            if wanted <> coalesce(current, 0) then
                return row('precondition_failed', 'precondition_failed',
                    format('key ''%s'' %s', change_key, case
                        when current is null then format('does not exist, expected was revision %s', wanted)
                        when wanted = 0 then format('exists, revision %s', current)
                        else format('is at revision %s, expected was %s', current, wanted) end),
                    'read it again and decide anew')::local.fault;
            end if;
            if current is null and group_match is not null then -- when was it deleted?
                select coalesce(max(l.revision), n.log_base) into current from shared.log l
                    where l.key = change_key and l.site = change_site;
            end if;
            if current > group_match then
                return row('precondition_failed', 'precondition_failed',
                    format('key ''%s'' changed at revision %s, after %s', change_key, current, group_match),
                    'read it again and decide anew')::local.fault;
            end if;
        end if;
    end loop;
    return null;
end
$$;

-- 'batch' = [{"author", "reason"?, "if_match"?, "changes": [{"site"?, "key", "value" | "delete": true,
-- "if_match"?}]}]. A change's if_match is the key's present revision, 0 for a key that must not exist;
-- a group's if_match is a revision after which none of its keys may have changed.
-- Returns {"synchronous_commit", "groups": [one for each: {"ok": true, "epoch", "holder", "txn",
-- "revision"} or {"ok": false, "code", "slug", "text", "mend"}]}; a group's rows are txn..revision.
-- 25006: fenced, nothing was written. BT006: more changes in the batch than fit one transaction.
create function shared.write(batch jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
set baton.checked = '1' as $$
declare
    count_max constant integer := 1000;
    count integer := 0;
    n local.node;
    item jsonb;
    changes jsonb;
    change jsonb;
    fault local.fault;
    first bigint;
    last bigint;
    author text;
    reason text;
    answers jsonb[] := '{}';
begin
    perform set_config('baton.log_head', '', true); -- whatever the caller left there, see local.log_insert()
    select * into n from local.node for update;
    if not local.writable(n) or n.name is null then
        perform local.fail_fenced(n);
    end if;
    select coalesce(max(l.revision), n.log_base) into last from shared.log l;
    for g in 0 .. jsonb_array_length(batch) - 1 loop
        item := batch -> g;
        changes := item -> 'changes';
        fault := local.group_fault(item, n);
        if fault.slug is not null then
            answers := answers || jsonb_build_object('ok', false, 'code', fault.code, 'slug', fault.slug,
                'text', fault.message, 'mend', fault.mend);
            continue;
        end if;
        count := count + jsonb_array_length(changes);
        if count > count_max then
            perform local.fail('BT006', 'too_many_changes',
                format('more than %s changes in one transaction', count_max),
                'send the groups in several batches');
        end if;
        first := last + 1;
        author := item ->> 'author';
        reason := item ->> 'reason';
        for i in 0 .. jsonb_array_length(changes) - 1 loop
            change := changes -> i;
            insert into shared.log (txn, site, key, value, author, reason)
            values (first, coalesce(change ->> 'site', ''), change ->> 'key',
                case when (change -> 'delete') is not distinct from 'true'::jsonb then null
                    else change -> 'value' end,
                author, reason);
            last := last + 1; -- as the trigger does: we hold the lock
        end loop;
        answers := answers || jsonb_build_object('ok', true, 'epoch', n.epoch, 'holder', n.epoch_holder,
            'txn', first, 'revision', last);
    end loop;
    return jsonb_build_object('synchronous_commit', current_setting('synchronous_commit'),
        'groups', to_jsonb(answers));
end
$$;

create function local.write_one(change jsonb, reason text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    answer jsonb;
    fault local.fault;
begin
    -- A person's transaction must not end unacknowledged, nor stand open and hold everybody else.
    if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    perform set_config('idle_in_transaction_session_timeout', '5s', true);
    fault := local.change_fault(change ->> 'site', change ->> 'key', change -> 'value', false);
    if fault.slug is not null then
        perform local.fail(case fault.code when 'limit' then 'BT006' else 'BT005' end,
            fault.slug, fault.message, fault.mend);
    end if;
    answer := shared.write(jsonb_build_array(jsonb_build_object('author', session_user, 'reason', reason,
        'changes', jsonb_build_array(change)))) -> 'groups' -> 0;
    if not (answer ->> 'ok')::boolean then
        perform local.fail('22023', answer ->> 'slug', answer ->> 'text', answer ->> 'mend');
    end if;
    return answer ->> 'revision';
end
$$;

-- select shared.set('app/greeting', '"hello"', 'why');  Returns the revision. The write counts when
-- the COMMIT returned without a warning: with one, the standbys may not have it.
create function shared.set(key text, value jsonb, reason text default null, site text default '')
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if value is null then
        perform local.fail('22004', 'value_missing', format('key ''%s'' has no value', key),
            'shared.unset() deletes');
    end if;
    return local.write_one(jsonb_build_object('site', coalesce(site, ''), 'key', key, 'value', value), reason);
end
$$;

create function shared.unset(key text, reason text default null, site text default '')
returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    return local.write_one(jsonb_build_object('site', coalesce(site, ''), 'key', key, 'delete', true), reason);
end
$$;

grant execute on function shared.write(jsonb) to baton;
grant execute on function shared.set(text, jsonb, text, text), shared.unset(text, text, text) to baton_writer;
