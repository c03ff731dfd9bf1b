-- $1 name, $2 conninfo, $3 slot at the publisher, $4 enabled. In a transaction of its own.
-- 42710: it exists, detach first. 08006: the publisher does not answer.
select local.sub_attach($1, $2, $3, $4::boolean)
