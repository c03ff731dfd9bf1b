-- Writing. shared.write() is the daemon's: many groups in one transaction, so that they share one
-- commit; a group is atomic, and one that is refused leaves nothing and harms no other.
-- shared.set() and shared.unset() are for people with psql.

-- What is wrong with a group as a whole, or NULL.
create function local.group_fault(item jsonb, changes jsonb) returns local.fault
language plpgsql stable as $$
declare
    count_max constant integer := 1000;
    size_max constant integer := 16777216;
    author_size constant integer := octet_length(item ->> 'author');
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
    if author_size between 1 and 255 is not true then
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
    return null;
end
$$;

-- What has happened to a key that forbids a change of it, or NULL. The caller holds the lock of local.node,
-- so what is read here stays true until it commits.
create function local.match_fault(change_site text, change_key text, wanted bigint, group_match bigint, log_base bigint)
returns local.fault
language plpgsql stable as $$
declare
    current bigint;
begin
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
        select coalesce(max(l.revision), log_base) into current from shared.log l
            where l.key = change_key and l.site = change_site;
    end if;
    if current > group_match then
        return row('precondition_failed', 'precondition_failed',
            format('key ''%s'' changed at revision %s, after %s', change_key, current, group_match),
            'read it again and decide anew')::local.fault;
    end if;
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
    head local.log_point;
    mark text;
    family local.key_family; -- of the change before, and mostly of this one, too
    item jsonb;
    changes jsonb;
    change jsonb;
    value jsonb;
    key text;
    site text;
    first bigint; -- of the group
    last bigint; -- what the next change comes after
    fault local.fault;
    answers text[] := '{}';
    -- what was accepted and is not in the log yet
    txns bigint[] := '{}';
    sites text[] := '{}';
    keys text[] := '{}';
    vals jsonb[] := '{}';
    items jsonb[] := '{}';
begin
    mark := local.log_forget();
    update local.node set changed_by = pg_current_xact_id() returning * into n; -- takes the lock
    if not local.writable(n) or n.name is null then
        perform local.fail_fenced(n);
    end if;
    select l.revision, l.epoch, l.holder, l.hash into head from shared.log l order by l.revision desc limit 1;
    if not found then
        head := row(n.log_base, n.log_base_epoch, n.log_base_holder, n.log_base_hash);
    end if;
    if (head.epoch, head.holder) = (n.epoch, n.epoch_holder) then -- else its first row must say so
        mark := local.log_begin(head.revision);
        mark := set_config('baton.log_head', local.log_mark(pg_current_xact_id()::text, head.revision, head.epoch,
            head.holder) || encode(head.hash, 'hex'), true);
    end if;
    last := head.revision;
    for g in 0 .. jsonb_array_length(batch) loop
        item := batch -> g;
        -- What was accepted goes into the log at the end, and before a group that asks what is there.
        if cardinality(txns) > 0 and (item is null or item ? 'if_match' or jsonb_path_exists(item,
                '$.changes[*] ? (exists(@.if_match) || exists(@.delete))')) then
            insert into shared.log (revision, epoch, holder, txn, site, key, value, author, reason)
            select last - cardinality(txns) + u.i, n.epoch, n.epoch_holder, u.txn, u.site, u.key, u.value,
                u.item ->> 'author', u.item ->> 'reason'
            from unnest(txns, sites, keys, vals, items) with ordinality u (txn, site, key, value, item, i);
            txns := '{}';
            sites := '{}';
            keys := '{}';
            vals := '{}';
            items := '{}';
        end if;
        exit when item is null;
        changes := item -> 'changes';
        first := last + 1;
        fault := local.group_fault(item, changes);
        if fault.slug is null then
            for i in 0 .. jsonb_array_length(changes) - 1 loop
                change := changes -> i;
                site := coalesce(change ->> 'site', '');
                key := change ->> 'key';
                value := change -> 'value';
                if (change -> 'delete') is not distinct from 'true'::jsonb then
                    value := null;
                elsif value is null then
                    fault := row('invalid', 'value_missing', format('key ''%s'' has no value', key),
                        'give a value, or delete');
                    exit;
                end if;
                if starts_with(key, family.lead) is not true then
                    select * into family from local.key_family f where starts_with(key, f.lead);
                end if;
                fault := local.change_fault(site, key, value, true, family.scope);
                if fault.slug is null and (change ? 'if_match' or item ? 'if_match') then
                    fault := local.match_fault(site, key, (change ->> 'if_match')::bigint,
                        (item ->> 'if_match')::bigint, n.log_base);
                end if;
                exit when fault.slug is not null;
                last := last + 1;
                txns := array_append(txns, first);
                sites := array_append(sites, site);
                keys := array_append(keys, key);
                vals := array_append(vals, value);
                items := array_append(items, item);
            end loop;
        end if;
        if fault.slug is not null then
            txns := trim_array(txns, (last - first + 1)::integer);
            sites := trim_array(sites, (last - first + 1)::integer);
            keys := trim_array(keys, (last - first + 1)::integer);
            vals := trim_array(vals, (last - first + 1)::integer);
            items := trim_array(items, (last - first + 1)::integer);
            last := first - 1;
            answers := array_append(answers, jsonb_build_object('ok', false, 'code', fault.code, 'slug', fault.slug,
                'text', fault.message, 'mend', fault.mend)::text);
            continue;
        end if;
        count := count + jsonb_array_length(changes);
        if count > count_max then
            perform local.fail('BT006', 'too_many_changes',
                format('more than %s changes in one transaction', count_max),
                'send the groups in several batches');
        end if;
        answers := array_append(answers, format('{"ok": true, "epoch": %s, "holder": "%s", "txn": %s, "revision": %s}',
            n.epoch, n.epoch_holder, first, last));
    end loop;
    return format('{"synchronous_commit": "%s", "groups": [%s]}', current_setting('synchronous_commit'),
        array_to_string(answers, ', '));
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
