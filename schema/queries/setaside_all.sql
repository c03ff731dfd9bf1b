-- $1 last common revision (0: unknown), $2 epoch and $3 holder of the primary. Columns: taken.
-- The node is empty afterwards and needs snapshot_load.
select local.setaside_all($1::bigint, $2::bigint, $3) as taken
