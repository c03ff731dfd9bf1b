-- $1 key ('' every one), $2 only before this revision (0: from the newest), $3 rows at most. Newest first.
-- Columns as history. No row: no (further) row that is still kept.
select revision, epoch, holder, txn, site, key, value, value is null as deleted, author, at, reason,
    encode(hash, 'hex') as hash
from shared.log
where ($2::bigint = 0 or revision < $2::bigint) and ($1 = '' or key = $1)
order by revision desc limit $3::integer
