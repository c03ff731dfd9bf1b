-- Writes to the server's log what concerns nobody, so that every standby is heard once more. Commit it locally.
select pg_logical_emit_message(true, 'baton', '')
