-- Columns: see position. No row: this node is not primary, or it is frozen already.
-- 55P03: a writer did not end within 2 s; nothing changed.
select cluster_id, name, site, applied, applied_epoch, applied_holder, applied_hash, is_primary,
    frozen, writable, epoch, epoch_holder, promised, promised_holder, log_base, log_base_hash
from local.freeze()
