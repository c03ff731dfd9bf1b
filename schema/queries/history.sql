-- $1 key ('' every one), $2 after which revision, $3 rows at most. Oldest first.
-- Columns: revision, epoch, holder, txn, site, key, value (null: deleted), deleted, author, at, reason, hash.
-- No row: no (further) row that is still kept.
select revision, epoch, holder, txn, site, key, value, value is null as deleted, author, at, reason,
    encode(hash, 'hex') as hash
from shared.log
where revision > $2::bigint and ($1 = '' or key = $1)
order by revision limit $3::integer
