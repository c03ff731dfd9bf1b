-- $1 name. Columns: detached, false when there was none. Its worker is gone when this returns.
select local.sub_detach($1) as detached
