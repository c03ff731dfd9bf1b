-- The local settings of this node in order.
select key, value::text as value, author, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
from local.setting order by key
