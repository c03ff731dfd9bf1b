-- Columns: node, address; the other members, as this node's own copy of the configuration names them. No row:
-- it is alone, or has just joined.
select substr(c.key, 6) as node, c.value ->> 'address' as address
from shared.config c cross join local.node n
where starts_with(c.key, 'node/') and c.site = '' and substr(c.key, 6) <> n.name
    and not coalesce((c.value ->> 'removed')::boolean, false)
order by 1
