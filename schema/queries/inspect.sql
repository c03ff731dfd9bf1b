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
        'default_transaction_read_only', 'default_transaction_isolation', 'synchronous_standby_names',
        'statement_timeout', 'idle_session_timeout')),
    -- of what Baton has made: who owns it, and whether its fence stands
    'owner', (select r.rolsuper and r.rolcanlogin from pg_namespace n join pg_roles r on r.oid = n.nspowner
        where n.nspname = 'local'),
    'checkpoint', (select pg_has_role(p.proowner, 'pg_checkpoint', 'usage') from pg_proc p
        where p.pronamespace = to_regnamespace('local') and p.proname = 'names_settle'),
    'triggers_off', (select coalesce(jsonb_agg(jsonb_build_object('table', n.nspname || '.' || c.relname, 'trigger',
            t.tgname, 'mode', e.mode) order by n.nspname, c.relname, t.tgname), '[]')
        from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        -- which of them fire for rows that come by replication too, or for those alone
        cross join lateral (select case
            when t.tgname in ('log_insert', 'node_identity', 'node_row', 'setting_check') then 'ALWAYS '
            when t.tgname = 'log_config' then case c.relname when 'log' then 'ALWAYS ' else 'REPLICA ' end
            else '' end as mode) e
        where n.nspname in ('local', 'shared') and not t.tgisinternal
            and t.tgenabled <> case e.mode when 'ALWAYS ' then 'A' when 'REPLICA ' then 'R' else 'O' end),
    'published', (select coalesce(jsonb_agg(schemaname || '.' || tablename order by 1), '[]')
        from pg_publication_tables where pubname = 'baton'),
    'pending', (select coalesce(jsonb_agg(name order by name), '[]') from pg_settings where pending_restart)
) as facts
