-- Columns: waited_ms, of the COMMIT that waits longest for standbys, 0 for none; flushed, bytes of our own log.
select waited_ms, flushed from local.commit_waits()
