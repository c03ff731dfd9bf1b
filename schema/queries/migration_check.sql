-- $1 jsonb: what this program knows, [{"version", "name", "checksum"}], all of them.
-- Columns: version, name, problem. Each row forbids the start: 'changed' (another text was applied under
-- this number), 'newer' (the database was migrated by a newer Baton), 'hole' (one before it is missing).
-- No row: the program may apply what it knows and the database has not.
select coalesce(m.version, k.version) as version, coalesce(m.name, k.name) as name,
    case when k.version is null then 'newer' when m.version is null then 'hole' else 'changed' end as problem
from local.migration m
full join jsonb_to_recordset($1::jsonb) k (version integer, name text, checksum text) using (version)
where k.version is null or m.checksum <> k.checksum
    or m.version is null and k.version < (select max(version) from local.migration)
order by 1
