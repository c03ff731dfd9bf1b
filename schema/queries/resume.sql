-- $1 epoch, $2 holder. Columns: see position. Always a row.
-- BT003: another epoch is promised. BT011: this epoch was never opened here, or another session fenced last.
select cluster_id, name, site, applied, applied_epoch, applied_holder, applied_hash, is_primary,
    frozen, writable, epoch, epoch_holder, promised, promised_holder, log_base, log_base_hash
from local.resume($1::bigint, $2)
