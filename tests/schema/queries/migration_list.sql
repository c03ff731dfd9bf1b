-- Columns: version, name, checksum, applied_at; oldest first. No row: an empty database.
select version, name, checksum, applied_at from local.migration order by version
