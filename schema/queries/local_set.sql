-- $1 key, $2 value (jsonb), $3 author. Columns: none of interest.
-- BT005: unknown, or a shared key. BT006: too large.
select local.set($1, $2::jsonb, $3)
