-- The shared log: append only, one gap-free row of revisions, each row hashed over the one before.
-- It is the only table that is published; shared.config is made from it on every node by the trigger
-- of the next migration, in the same transaction. NOTIFY baton_log tells the first revision of each
-- transaction that reached this node, on a primary when its COMMIT was acknowledged.
create table shared.log (
    revision bigint primary key,
    epoch bigint not null,
    holder text collate "C" not null,
    txn bigint not null, -- first revision of its atomic group
    site text collate "C" not null default '', -- '' is the whole cluster
    key text collate "C" not null,
    value jsonb, -- SQL NULL is a deletion, JSON null a value
    author text not null,
    at timestamptz not null,
    reason text,
    hash bytea not null
);
create index log_key on shared.log (key, site, revision);

create table shared.config (
    site text collate "C" not null,
    key text collate "C" not null,
    value jsonb not null,
    revision bigint not null,
    epoch bigint not null,
    author text not null,
    at timestamptz not null,
    primary key (key, site)
);

-- shared.config as it was at local.node.log_base: with the log rows above it every later state can
-- be told, also after pruning.
create table local.config_base (like shared.config including all);

-- The chain. Each text is written as its count of bytes, ':' and the text, so no two rows have one
-- spelling; '-' stands for SQL NULL. Any program can verify it:
--   hash(r) = sha256(hash(r - 1) || text), hash(0) = sha256(cluster id, as 36 characters)
--   text    = revision ' ' epoch ' ' txn ' ' at ' ' holder site key value author reason
-- with 'at' in microseconds since 1970 UTC and value as PostgreSQL prints jsonb.
create function local.log_hash(previous bytea, revision bigint, epoch bigint, holder text, txn bigint,
    site text, key text, value text, author text, at timestamptz, reason text) returns bytea
language sql stable as $$
    select pg_catalog.sha256(previous operator(pg_catalog.||) pg_catalog.convert_to(pg_catalog.concat(
        revision, ' ', epoch, ' ', txn, ' ',
        (extract(epoch from at) operator(pg_catalog.*) 1000000)::bigint, ' ',
        pg_catalog.octet_length(holder), ':', holder,
        pg_catalog.octet_length(site), ':', site,
        pg_catalog.octet_length(key), ':', key,
        case when value is null then '-'
            else pg_catalog.concat(pg_catalog.octet_length(value), ':', value) end,
        pg_catalog.octet_length(author), ':', author,
        case when reason is null then '-'
            else pg_catalog.concat(pg_catalog.octet_length(reason), ':', reason) end), 'UTF8'))
$$;

create publication baton for table shared.log with (publish = 'insert');

-- Nobody changes history or the state made from it by hand, the owner included. Repair functions run
-- in replica role, where these guards rest; plain roles have no such right, and none to the tables.
create trigger log_immutable before update or delete or truncate on shared.log for each statement
execute function local.refuse('log_immutable', 'the log only grows: write a new value instead');
create trigger config_made before insert or update or delete or truncate on shared.config
for each statement when (pg_catalog.pg_trigger_depth() = 0)
execute function local.refuse('config_made', 'write with shared.set() and shared.unset()');
create trigger config_base_made before insert or update or delete or truncate on local.config_base
for each statement execute function local.refuse('config_made', 'only pruning and snapshots write it');

grant select on shared.log, shared.config to baton, baton_reader;
grant select on shared.log to baton_peers;
grant select on local.config_base to baton;
