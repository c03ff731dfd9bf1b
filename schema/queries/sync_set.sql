-- Columns: sync_set jsonb, who acknowledges by our log as it is now. No row: it does not say.
select value as sync_set from shared.config where key = 'sync/set' and site = ''
