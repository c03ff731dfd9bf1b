-- Columns: see local.node_position; hashes in hexadecimal. No row: the node is not made yet.
select cluster_id, name, site, applied, applied_epoch, applied_holder, applied_hash, is_primary,
    frozen, writable, epoch, epoch_holder, promised, promised_holder, log_base, log_base_hash
from local.position()
