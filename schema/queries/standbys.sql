-- Columns: name, role, slot, address, state, sync_state, lag_bytes, reply_age_ms, flushed. No row: nobody receives.
select name, role, slot, address, state, sync_state, lag_bytes, reply_age_ms, flushed from local.standbys()
