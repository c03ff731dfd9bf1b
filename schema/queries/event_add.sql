-- $1 kind, $2 doc (jsonb). Columns: id.
select local.event_add($1, $2::jsonb) as id
