-- What was last done for a connector is kept, however often something was done for others since: a node that
-- knows of no activation owes no deactivation. Ids say nothing about how many there are, for a repeated
-- action keeps its own and still takes another from the sequence.

create or replace function local.activation_add(connector text, action_id text, epoch bigint, holder text,
    server text, kind text, driver text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    activations_max constant bigint := 1000;
    connectors_max constant bigint := 1000; -- as ACTIVATION_CONNECTORS_MAX: the last of each, beside those
    added bigint;
begin
    insert into local.activation (connector, action_id, epoch, holder, server, kind, driver)
    values (activation_add.connector, activation_add.action_id, activation_add.epoch, activation_add.holder,
        activation_add.server, activation_add.kind, activation_add.driver)
    on conflict (action_id) do update set state = 'running', output = null,
        started_at = clock_timestamp(), ended_at = null
    returning id into added;
    if added % 16 = 0 then -- sorting a thousand takes longer than the rest
        delete from local.activation a
        using (select o.id, o.last, row_number() over newest as place,
                count(*) filter (where o.last) over newest as connectors
            from (select i.id, row_number() over (partition by i.connector order by i.id desc) = 1 as last
                from local.activation i) o
            window newest as (order by o.id desc)) k
        where k.id = a.id and k.place > activations_max and not (k.last and k.connectors <= connectors_max);
    end if;
    return added;
end
$$;
