-- $1 jsonb: rows from a peer's log_rows, $2 epoch and $3 holder on whose behalf. Columns: applied. Rows that
-- are here already are dropped. BT003: a later epoch is promised. BT001 gap, BT002 stale epoch, BT004
-- hash, BT008 fork, BT009 primary: nothing was applied.
select local.catchup_for($1::jsonb, $2::bigint, $3) as applied
