-- Columns: doc jsonb, {"cluster_id", "revision", "epoch", "holder", "hash", "epochs", "config"}.
-- Null: the node is not made yet.
select local.snapshot_make() as doc
