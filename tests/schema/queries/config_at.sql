-- $1 revision, $2 prefix of keys. Columns as config_list, the state as it was then.
-- BT010: forgotten. BT011: not there yet.
select site, key, value, revision, epoch, author, at
from local.config_at($1::bigint) where starts_with(key, $2)
