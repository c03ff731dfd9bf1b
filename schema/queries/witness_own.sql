-- Run as the owner of a witness that `baton witness` keeps, at each start: nodes come by certificate, and the
-- certificate says who they are. Harmless when it was run before.
do $$
begin
    create extension if not exists sslinfo schema witness;
    revoke execute on all functions in schema witness from public;
    alter role baton_witness login noinherit connection limit 40;
    alter role baton_witness set statement_timeout = '5s';
    alter role baton_witness set lock_timeout = '2s';
    alter role baton_witness set idle_in_transaction_session_timeout = '2s';
    alter role baton_witness set default_transaction_isolation = 'read committed';
    execute pg_catalog.format('revoke all on database %I from public', pg_catalog.current_database());
    execute pg_catalog.format('grant connect on database %I to baton_witness', pg_catalog.current_database());
    revoke all on schema public from public;
    update witness.access set by_certificate = true where not by_certificate;
end
$$
