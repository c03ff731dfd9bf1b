-- $1 revision, $2 prefix of keys. Columns: changes jsonb for write, with if_match; [] when nothing differs.
-- BT010: forgotten. BT011: not there yet.
select local.rollback_changes($1::bigint, $2) as changes
