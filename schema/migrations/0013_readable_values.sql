-- Values that every reader of JSON can take. PostgreSQL nests and counts without an end; Baton's own reader
-- does not, and whatever a member cannot read it cannot hand on: catching up by rows and by snapshot would stop at it.

create function local.value_fault(key text, value jsonb) returns local.fault
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    number text;
begin
    if jsonb_path_exists(value, 'strict $.**{25}') then
        return row('limit', 'value_too_deep', format('value of ''%s'' is nested more than 24 levels deep', key),
            'flatten it, or store its text as a string')::local.fault;
    end if;
    select n #>> '{}' into number from jsonb_path_query(value, 'strict $.** ? (@.type() == "number")') n
        where octet_length(n::text) > 64 or n::text !~ '[.]'
            and n::numeric not between -9223372036854775808 and 9223372036854775807
        limit 1;
    if number is not null then
        return row('limit', 'number_too_long', format('value of ''%s'' has the number %s, which has more than 64 bits '
            'or 64 digits', key, left(number, 80)), 'store it as a string')::local.fault;
    end if;
    return null;
end
$$;

-- As before, and what can be read. What is short, or has neither depth nor many digits, costs one look.
create or replace function local.change_fault(site text, key text, value jsonb, system boolean, scope text default null)
returns local.fault
language plpgsql stable as $$
declare
    key_size_max constant integer := 255;
    value_size_max constant integer := 262144;
    rule text;
    fault local.fault;
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
    if octet_length(value::text) > 18 and
            (value::text ~ '[0-9.]{19}' or jsonb_path_exists(value, 'strict $.**{25}')) then
        fault := local.value_fault(key, value);
        if fault.code is not null then
            return fault;
        end if;
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

-- As before, and what can be read.
create or replace function local.setting_check() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    scope constant text := local.key_scope(new.key);
    fault local.fault;
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
    fault := local.value_fault(new.key, new.value);
    if fault.code is not null then
        perform local.fail('BT006', fault.slug, fault.message, fault.mend);
    end if;
    return new;
end
$$;
