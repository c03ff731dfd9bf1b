-- $1 name, $2 enabled. Columns: found. After disabling, and its commit: sub_stop.
select local.sub_enable($1, $2::boolean) as found
