-- Columns: facts jsonb, what controller/postgres/inspect.h judges. Always a row. A fact that this role may
-- not see is null. Settings as every new session has them, whatever this one has set. 42883: the server is older than PostgreSQL 15.
select jsonb_build_object(
    'version', current_setting('server_version_num')::integer,
    'user', current_user,
    'database', current_database(),
    'superuser', (select rolsuper from pg_roles where rolname = current_user),
    'recovery', pg_is_in_recovery(),
    'local', inet_client_addr() is null,
    'tls', coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false),
    'alter_standbys', has_parameter_privilege('synchronous_standby_names', 'alter system'),
    'reload', has_function_privilege('pg_reload_conf()', 'execute'),
    'schema_local', coalesce(has_schema_privilege(to_regnamespace('local'), 'usage'), false),
    'schema_shared', coalesce(has_schema_privilege(to_regnamespace('shared'), 'usage'), false),
    'settings', (select jsonb_object_agg(name, reset_val) from pg_settings where name in (
        'server_encoding', 'wal_level', 'fsync', 'full_page_writes', 'synchronous_commit', 'max_wal_senders',
        'max_replication_slots', 'max_logical_replication_workers', 'max_worker_processes', 'max_connections',
        'password_encryption', 'ssl', 'wal_retrieve_retry_interval', 'wal_sender_timeout',
        'wal_receiver_timeout', 'max_slot_wal_keep_size', 'restart_after_crash', 'session_replication_role',
        'default_transaction_read_only', 'default_transaction_isolation')),
    'pending', (select coalesce(jsonb_agg(name order by name), '[]') from pg_settings where pending_restart)
) as facts
