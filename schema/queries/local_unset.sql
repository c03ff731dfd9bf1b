-- $1 key, $2 author. Columns: removed, false when it was not set.
select local.unset($1, $2) as removed
