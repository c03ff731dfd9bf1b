-- $1 last common revision, $2 epoch and $3 holder of the primary it was compared with.
-- Columns: taken. BT003: a later epoch is promised. BT012: our head is of that epoch: no fork.
-- BT009: this node is primary. BT010: below the kept log: setaside_all, then a snapshot.
select local.setaside_tail($1::bigint, $2::bigint, $3) as taken
