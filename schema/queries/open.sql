-- $1 epoch, $2 holder. Columns: see position. Always a row.
-- BT003: another epoch is promised. BT011: not ours to open, or opened before, or another session fenced last.
select cluster_id, name, site, applied, applied_epoch, applied_holder, applied_hash, is_primary,
    frozen, writable, epoch, epoch_holder, promised, promised_holder, log_base, log_base_hash
from local.open($1::bigint, $2)
