-- $1 jsonb: a peer's snapshot. Columns: applied. Replaces log and config.
-- BT008: our head is not in its history, set aside first. BT009: this node is primary. BT011: of another
-- cluster, or not newer.
select local.snapshot_load($1::jsonb) as applied
