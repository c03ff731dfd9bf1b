-- $1 connector ('' all), $2 rows at most. Newest first. Columns: id, connector, action_id, epoch, holder,
-- server, kind, driver, state, output, started_at, ended_at. No row: none yet.
select id, connector, action_id, epoch, holder, server, kind, driver, state, output, started_at, ended_at
from local.activation where $1 = '' or connector = $1
order by id desc limit $2::integer
