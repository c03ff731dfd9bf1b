-- The whole shared config in order, each row beside the node's position. One row without a key: the
-- config is empty. No row: the database has no node yet.
select h.revision as applied, h.epoch as applied_epoch, h.holder as applied_holder,
    encode(h.hash, 'hex') as applied_hash, n.log_base,
    c.site, c.key, c.value::text as value, c.revision, c.epoch, c.author,
    to_char(c.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
from local.node n cross join local.head h left join shared.config c on true
order by c.key, c.site
