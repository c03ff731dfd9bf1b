-- Columns: version, the newest migration that was applied; 0 when there is none.
select coalesce(max(version), 0) as version from local.migration
