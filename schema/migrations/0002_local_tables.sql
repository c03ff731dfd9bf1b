-- What belongs to this node alone. Nothing of schema local is ever published.
-- A pair (epoch, holder) is compared as a pair: number first, then the holder's bytes.

-- Names are domains and no CHECK of the table: a CHECK is parsed and run by every statement that updates
-- the row, and every write does; a domain only where a name is given.
create domain local.node_name as text collate "C" check (value ~ '^[a-z0-9]([a-z0-9-]{0,53}[a-z0-9])?$');
create domain local.site_name as text collate "C" check (value ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$');

-- One row, made by local.node_init(). Its row lock orders everything: a local write, an applied row,
-- a freeze, a capture and an opening all take it first, so commit order is revision order, and what
-- waited for the lock sees what the one before decided. Where the log ends is told by the log itself.
create table local.node (
    one boolean primary key default true check (one),
    cluster_id uuid not null,
    name local.node_name not null,
    site local.site_name not null,
    -- the right to write: all of it must hold, see local.writable()
    is_primary boolean not null default false,
    frozen boolean not null default false,
    epoch bigint not null default 0, -- the last epoch that this node itself held
    epoch_holder text collate "C" not null default '',
    opened_pg timestamptz, -- start of the PostgreSQL that opened it: a restarted one is fenced (I11)
    -- I3: the highest epoch promised to somebody or seen in the log; lower ones are refused
    promised bigint not null default 0,
    promised_holder text collate "C" not null default '',
    -- rows up to here are pruned or came by snapshot; their state is local.config_base
    log_base bigint not null default 0,
    log_base_epoch bigint not null default 0,
    log_base_holder text collate "C" not null default '',
    log_base_hash bytea not null,
    -- The last transaction that changed the log. Each makes a new version of this row, once, so that a
    -- REPEATABLE READ transaction with an older view fails (40001) instead of trusting it.
    changed_by xid8 not null default '0',
    check (not frozen or is_primary)
);

create trigger node_identity before update of cluster_id, name, promised, promised_holder, epoch, epoch_holder
on local.node for each row
when (new.cluster_id <> old.cluster_id or new.name <> old.name
    or (new.promised, new.promised_holder) < (old.promised, old.promised_holder)
    or (new.epoch, new.epoch_holder) < (old.epoch, old.epoch_holder))
execute function local.refuse('node_row', 'identity stays, promise and epoch never fall (I3)');
alter table local.node enable always trigger node_identity;
create trigger node_row before delete or truncate on local.node for each statement
execute function local.refuse('node_row', 'a node that starts anew gets a new database');
alter table local.node enable always trigger node_row;

-- Which epoch began at which revision. Rows of one epoch come from one node (I2), so two logs that
-- share an epoch share everything before the earlier of their next epochs: this tells the common
-- history even of pruned rows.
create table local.epoch_start (
    epoch bigint not null,
    holder text collate "C" not null,
    revision bigint not null unique,
    primary key (epoch, holder)
);

-- Which key may live where. In a pattern '*' stands for one word without '/', a last '**' and '%' for
-- any text, all else for itself; the longest pattern that fits decides. cluster: for the whole cluster
-- only; site: for the cluster or a site; node: never in shared; system: Baton's own, not for people.
create table local.key_rule (
    pattern text collate "C" primary key,
    scope text not null check (scope in ('cluster', 'site', 'node', 'system')),
    matcher text collate "C" not null generated always as (replace(replace(replace(replace(pattern,
        '\', '\\'), '_', '\_'), '**', '%'), '*', '%')) stored,
    depth integer generated always as (case when pattern not like '%**' and strpos(pattern, '%') = 0
        then length(pattern) - length(replace(pattern, '/', '')) end) stored, -- how many '/'; NULL: any
    lead text collate "C" not null generated always as (split_part(replace(pattern, '*', '%'), '%', 1)) stored
);

-- Where one rule decides for all keys that begin with 'lead', as for app/: most keys are of such a family.
-- Made from the rules whenever they change.
create table local.key_family (
    lead text collate "C" primary key,
    scope text not null
);

create function local.key_families() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    delete from local.key_family;
    insert into local.key_family
    select r.lead, r.scope from local.key_rule r
    where r.pattern in (r.lead || '**', r.lead || '%') and not exists (select from local.key_rule o
        where o.pattern <> r.pattern and (starts_with(o.lead, r.lead)
            or starts_with(r.lead, o.lead) and o.pattern <> o.lead));
    return null;
end
$$;
create trigger key_families after insert or update or delete on local.key_rule for each statement
execute function local.key_families();

create table local.setting (
    key text collate "C" primary key,
    value jsonb not null,
    author text not null,
    at timestamptz not null default clock_timestamp()
);

create table local.setaside (
    id bigint generated always as identity primary key,
    batch bigint not null, -- rows that were set aside at one time
    revision bigint not null,
    epoch bigint not null,
    holder text collate "C" not null,
    txn bigint not null,
    site text collate "C" not null,
    key text collate "C" not null,
    value jsonb, -- SQL NULL: a deletion
    author text not null,
    at timestamptz not null,
    reason text,
    hash bytea not null,
    taken_at timestamptz not null default clock_timestamp(),
    against_epoch bigint not null,
    against_holder text collate "C" not null,
    state text not null default 'kept' check (state in ('kept', 'applied', 'discarded')),
    decided_by text,
    decided_at timestamptz,
    decided_revision bigint,
    check ((state = 'kept') = (decided_by is null and decided_at is null))
);
create index on local.setaside (batch, revision);
create sequence local.setaside_batch;

create table local.event (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    kind text not null,
    doc jsonb not null
);

create table local.activation (
    id bigint generated always as identity primary key,
    connector text collate "C" not null,
    action_id text not null unique,
    epoch bigint not null,
    holder text collate "C" not null,
    server text not null,
    kind text not null check (kind in ('activate', 'deactivate')),
    driver text not null,
    state text not null default 'running',
    output text,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);
create index on local.activation (connector, id);

grant select on all tables in schema local to baton;
