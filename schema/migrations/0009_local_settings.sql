-- Local settings, the table of known keys, and this node's own history.

-- Replaces the rules by the daemon's table (sites/setting.c): [{"pattern", "scope"}]. Returns how many.
create function local.key_rules_load(rules jsonb) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    loaded integer;
begin
    if jsonb_typeof(rules) is distinct from 'array' or jsonb_array_length(rules) = 0 then
        perform local.fail('22023', 'rules', 'no rules: every key would be refused', 'pass the whole table');
    end if;
    delete from local.key_rule k where not exists (select
        from jsonb_to_recordset(rules) r (pattern text, scope text) where r.pattern = k.pattern);
    insert into local.key_rule as k (pattern, scope)
    select r.pattern, r.scope from jsonb_to_recordset(rules) r (pattern text, scope text)
    on conflict (pattern) do update set scope = excluded.scope where k.scope <> excluded.scope;
    select count(*) into loaded from local.key_rule;
    return loaded;
end
$$;

insert into local.key_rule (pattern, scope) values
    ('app/**', 'site'),
    ('connector/*', 'site'),
    ('connector/*/use_alternate_server', 'node'),
    ('cluster', 'system'),
    ('epoch', 'system'),
    ('node/*', 'system'),
    ('promotion/**', 'system'),
    ('sync/set', 'system'),
    ('token/*', 'system'),
    ('user/*', 'system');

-- The database itself keeps a shared key out of schema local.
create function local.setting_check() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    scope constant text := local.key_scope(new.key);
begin
    if scope is null then
        perform local.fail('BT005', 'key_unknown', format('key ''%s'' is unknown', new.key),
            format('the nearest known one is ''%s''', local.key_nearest(new.key)));
    elsif scope <> 'node' then
        perform local.fail('BT005', 'key_scope', format('key ''%s'' is shared, not a local setting', new.key),
            format('baton config set %s VALUE', new.key));
    end if;
    if octet_length(new.value::text) > 262144 then
        perform local.fail('BT006', 'value_too_large', format('value of ''%s'' has %s bytes, at most 262144',
            new.key, octet_length(new.value::text)), 'keep large things elsewhere');
    end if;
    return new;
end
$$;
create trigger setting_check before insert or update on local.setting for each row
execute function local.setting_check();
alter table local.setting enable always trigger setting_check;

create function local.set(key text, value jsonb, author text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into local.setting as s (key, value, author) values (set.key, set.value, set.author)
    on conflict (key) do update set value = excluded.value, author = excluded.author, at = clock_timestamp()
$$;

-- False: it was not set.
create function local.unset(key text, author text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    delete from local.setting s where s.key = unset.key;
    return found;
end
$$;

-- Keeps the newest 10,000.
create function local.event_add(kind text, doc jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    events_max constant bigint := 10000;
    added bigint;
begin
    insert into local.event (kind, doc) values (event_add.kind, event_add.doc) returning id into added;
    delete from local.event e where e.id <= added - events_max;
    return added;
end
$$;

-- Records the start of a driver's work; the same action may start again after a failure.
create function local.activation_add(connector text, action_id text, epoch bigint, holder text,
    server text, kind text, driver text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    activations_max constant bigint := 1000;
    added bigint;
begin
    insert into local.activation (connector, action_id, epoch, holder, server, kind, driver)
    values (activation_add.connector, activation_add.action_id, activation_add.epoch, activation_add.holder,
        activation_add.server, activation_add.kind, activation_add.driver)
    on conflict (action_id) do update set state = 'running', output = null,
        started_at = clock_timestamp(), ended_at = null
    returning id into added;
    delete from local.activation a where a.id <= added - activations_max;
    return added;
end
$$;

-- False: no such action.
create function local.activation_finish(action_id text, state text, output text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update local.activation a set state = activation_finish.state, output = left(activation_finish.output, 8192),
        ended_at = clock_timestamp() where a.action_id = activation_finish.action_id;
    return found;
end
$$;

-- Decides about kept rows of a batch ('rows': only these revisions); returns how many were still open.
create function local.setaside_mark(batch bigint, state text, author text, revision bigint,
    rows bigint[] default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    marked bigint;
begin
    update local.setaside s set state = setaside_mark.state, decided_by = setaside_mark.author,
        decided_at = clock_timestamp(), decided_revision = setaside_mark.revision
    where s.batch = setaside_mark.batch and s.state = 'kept'
        and (setaside_mark.rows is null or s.revision = any (setaside_mark.rows));
    get diagnostics marked = row_count;
    return marked;
end
$$;

grant execute on function local.key_rules_load(jsonb), local.set(text, jsonb, text), local.unset(text, text),
    local.event_add(text, jsonb), local.activation_finish(text, text, text),
    local.activation_add(text, text, bigint, text, text, text, text),
    local.setaside_mark(bigint, text, text, bigint, bigint[]) to baton;
