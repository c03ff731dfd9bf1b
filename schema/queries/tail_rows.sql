-- $1 revision seen, $2 rows at most. The rows from $1 on, each beside the node's position; the row $1
-- itself comes along as the proof that the log still is what was seen. One row without a revision: no
-- log row from $1 on. No row: the database has no node yet.
select h.revision as applied, h.epoch as applied_epoch, h.holder as applied_holder,
    encode(h.hash, 'hex') as applied_hash,
    n.log_base, encode(n.log_base_hash, 'hex') as log_base_hash,
    l.revision, l.epoch, l.holder, l.txn, l.site, l.key, l.value::text as value, l.author,
    to_char(l.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, l.reason, encode(l.hash, 'hex') as hash
from local.node n cross join local.head h
left join lateral (
    select * from shared.log where revision >= $1::bigint order by revision limit $2::integer
) l on true
order by l.revision
