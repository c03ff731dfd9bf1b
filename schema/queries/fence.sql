-- Columns: see position. No row: the node is not made yet.
-- 55P03: a writer did not end within 2 s: waiters_cancel, then again. Until another session fences, only this one opens.
select cluster_id, name, site, applied, applied_epoch, applied_holder, applied_hash, is_primary,
    frozen, writable, epoch, epoch_holder, promised, promised_holder, log_base, log_base_hash
from local.fence()
