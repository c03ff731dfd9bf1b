-- Secrets: values of secret/NAME, which come here sealed or not at all. What seals them, and who has the
-- key, is for the daemon (sites/sealing.h); the database sees to it that nothing plain comes in, by whatever
-- way, and that nothing is sealed by a key that is on its way out.

-- secret: shared, for the whole cluster, written by its own command, shown to nobody.
alter table local.key_rule drop constraint key_rule_scope_check;
alter table local.key_rule add constraint key_rule_scope_check
    check (scope in ('cluster', 'site', 'node', 'system', 'secret'));

insert into local.key_rule (pattern, scope) values
    ('seal/keys', 'system'),
    ('secret/*', 'secret');

-- {"key": 16 hexadecimal digits, "sealed": base64url of nonce, 1 to 65536 bytes and tag}, and nothing else.
create function local.is_sealed(value jsonb) returns boolean
language sql immutable as $$
    select pg_catalog.jsonb_typeof(value) operator(pg_catalog.=) 'object'
        and (value operator(pg_catalog.-) 'key' operator(pg_catalog.-) 'sealed') operator(pg_catalog.=) '{}'
        and (value operator(pg_catalog.->>) 'key') operator(pg_catalog.~) '^[0-9a-f]{16}$'
        and (value operator(pg_catalog.->>) 'sealed') operator(pg_catalog.~) '^[A-Za-z0-9_-]+$'
        and pg_catalog.length(value operator(pg_catalog.->>) 'sealed') between 39 and 87419
$$;

-- What is wrong with one value of secret/NAME, or NULL. No message holds any of the value.
create function local.secret_fault(site text, key text, value jsonb, system boolean) returns local.fault
language plpgsql stable as $$
begin
    if not system then
        return row('invalid', 'key_secret', format('key ''%s'' is a secret, and a node seals it first', key),
            'baton secret set ' || substr(key, length('secret/') + 1))::local.fault;
    elsif site <> '' then
        return row('invalid', 'key_scope', format('key ''%s'' holds for the whole cluster, not for site ''%s''',
            key, site), 'leave the site out')::local.fault;
    elsif key !~ '^secret/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' then
        return row('invalid', 'key_spelling', format('key ''%s'' is not secret/ and a name', key),
            'use a-z, 0-9 and - , at most 63')::local.fault;
    elsif value is not null and local.is_sealed(value) is not true then
        return row('invalid', 'secret_plain', format('the value of key ''%s'' is not sealed', key),
            'baton secret set ' || substr(key, length('secret/') + 1))::local.fault;
    end if;
    return null;
end
$$;

-- What is wrong with the secrets of a group, or NULL: whatever is written is sealed by the key that is
-- current then, so that one that is not, and seals nothing, may be forgotten. The caller holds the lock of
-- local.node; an if_match sees to it that what came before is in the config already.
create function local.secrets_fault(item jsonb, changes jsonb) returns local.fault
language plpgsql stable as $$
declare
    current constant text := coalesce(
        (select c -> 'value' ->> 'current' from jsonb_array_elements(changes) c where c ->> 'key' = 'seal/keys'),
        (select s.value ->> 'current' from shared.config s where s.key = 'seal/keys' and s.site = ''));
    change jsonb;
begin
    for change in select c from jsonb_array_elements(changes) c where starts_with(c ->> 'key', 'secret/') loop
        if not change ? 'if_match' and not item ? 'if_match' then
            return row('invalid', 'secret_match', format('the change of key ''%s'' names no revision',
                change ->> 'key'), 'write with if_match')::local.fault;
        end if;
        if local.is_sealed(change -> 'value') and change -> 'value' ->> 'key' is distinct from current then
            return row('precondition_failed', 'secret_key_old', format('key ''%s'' is sealed by data key %s, and '
                'the cluster seals by %s', change ->> 'key', change -> 'value' ->> 'key', coalesce(current, 'none')),
                'seal it again: baton secret set ' || substr(change ->> 'key', length('secret/') + 1))::local.fault;
        end if;
    end loop;
    return null;
end
$$;

-- As before; a secret has faults of its own.
create or replace function local.change_fault(site text, key text, value jsonb, system boolean, scope text default null)
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
    if rule = 'secret' then
        return local.secret_fault(site, key, value, system);
    elsif rule = 'node' then
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

-- As before; a group with secrets is looked at as a whole.
create or replace function local.group_fault(item jsonb, changes jsonb) returns local.fault
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
    if jsonb_path_exists(changes, '$[*].key ? (@ starts with "secret/")') then
        return local.secrets_fault(item, changes);
    end if;
    return null;
end
$$;

-- As before; an old secret does not come back: it is seldom the right one, and its key may be gone.
create or replace function local.rollback_changes(at_revision bigint, prefix text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('site', site, 'key', key, 'if_match', coalesce(c.revision, 0))
        || case when o.value is null then '{"delete": true}' else jsonb_build_object('value', o.value) end
        order by key, site), '[]')
    from local.config_at(at_revision) o full join shared.config c using (site, key)
    where starts_with(key, prefix) and o.value is distinct from c.value
        and local.key_scope(key) in ('system', 'secret') is not true
$$;
