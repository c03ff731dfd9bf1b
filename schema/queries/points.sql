-- $1, $2: null for the first round, later the bounds (low, high] to look closer.
-- Columns: points jsonb, [{"revision", "hash", "epoch", "holder"}], at most 64, newest first.
select coalesce(jsonb_agg(to_jsonb(p) order by p.revision desc), '[]') as points
from local.points($1::bigint, $2::bigint) p
