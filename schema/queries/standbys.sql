-- Columns: name, role, slot, address, state, sync_state, lag_bytes, reply_age_ms. No row: nobody receives.
select name, role, slot, address, state, sync_state, lag_bytes, reply_age_ms from local.standbys()
