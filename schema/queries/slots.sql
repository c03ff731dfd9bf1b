-- Columns: name, active, wal_status, lag_bytes, confirmed. No row: none of Baton's.
select name, active, wal_status, lag_bytes, confirmed from local.slots()
