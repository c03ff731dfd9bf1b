-- $1 prefix of keys. Columns: key, value, author, at. No row: none is set.
select key, value, author, at from local.setting where starts_with(key, $1) order by key
