-- Columns: name, enabled, slot, running, received, message_age_ms, errors. No row: none of Baton's.
select name, enabled, slot, running, received, message_age_ms, errors from local.subs()
