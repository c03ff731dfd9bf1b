-- Run first, as baton_owner, before anything else of Baton exists. Harmless when it does.
do $$
begin
    perform pg_advisory_xact_lock(hashtext('baton migration')); -- two that start at once
    if to_regclass('local.migration') is null then
        create schema local;
        create table local.migration (
            version integer primary key check (version > 0),
            name text not null,
            checksum text not null check (checksum ~ '^[0-9a-f]{64}$'),
            applied_at timestamptz not null default clock_timestamp()
        );
    end if;
end
$$
