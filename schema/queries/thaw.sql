-- $1 epoch, $2 holder. Columns: see position. No row: it was not frozen, or another epoch is promised.
select cluster_id, name, site, applied, applied_epoch, applied_holder, applied_hash, is_primary,
    frozen, writable, epoch, epoch_holder, promised, promised_holder, log_base, log_base_hash
from local.thaw($1::bigint, $2)
