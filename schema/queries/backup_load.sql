-- $1 jsonb: as local.snapshot_load() takes it, but each value of "config" is a text that holds it. Columns: applied.
-- Replaces log and config of a node that was just made. BT011: of another cluster.
select local.snapshot_load($1::jsonb || jsonb_build_object('config', (select coalesce(jsonb_agg(
    e.item || jsonb_build_object('value', (e.item ->> 'value')::jsonb)), '[]')
    from jsonb_array_elements($1::jsonb -> 'config') e (item)))) as applied
