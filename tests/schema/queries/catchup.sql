-- $1 jsonb: rows from a peer's log_rows. Columns: applied. Rows that are here already are dropped.
-- BT001 gap, BT002 stale epoch, BT004 hash, BT008 fork, BT009 primary: nothing was applied.
select local.catchup($1::jsonb) as applied
