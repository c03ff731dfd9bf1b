-- $1 name. Columns: lsn. In a transaction of its own; set statement_timeout around it.
-- 55006: commits wait for standbys. 55P03: a transaction did not end within 2 s. 42710: it exists.
select local.slot_make($1) as lsn
