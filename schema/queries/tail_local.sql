-- The local settings of this node in order.
select key, value::text as value, author, (extract(epoch from at) * 1000)::bigint as at_ms
from local.setting order by key
