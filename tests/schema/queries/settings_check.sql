-- Columns: name, setting, unit, context, pending_restart, of the settings that Baton depends on.
-- Always rows; one that this PostgreSQL does not know is missing.
select name, setting, unit, context, pending_restart
from pg_settings
where name in ('server_version_num', 'server_encoding', 'wal_level', 'fsync', 'full_page_writes',
    'synchronous_commit', 'synchronous_standby_names', 'max_wal_senders', 'max_replication_slots',
    'max_logical_replication_workers', 'max_worker_processes', 'max_connections',
    'wal_retrieve_retry_interval', 'wal_sender_timeout', 'wal_receiver_timeout', 'tcp_user_timeout',
    'max_slot_wal_keep_size', 'password_encryption', 'ssl', 'port', 'session_replication_role',
    'default_transaction_isolation', 'default_transaction_read_only', 'transaction_read_only')
order by name
