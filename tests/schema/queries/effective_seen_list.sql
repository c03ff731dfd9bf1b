-- Columns: connector, epoch, server. No row: nothing was activated yet.
select connector, epoch, server from local.effective_seen order by connector
