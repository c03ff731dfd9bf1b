-- $1 version, $2 name, $3 checksum. In the transaction of the migration itself; 23505: it was applied.
insert into local.migration (version, name, checksum) values ($1::integer, $2, $3)
