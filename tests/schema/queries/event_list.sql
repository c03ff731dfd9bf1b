-- $1 only after this id, $2 rows at most. Columns: id, at, kind, doc; oldest first. No row: none.
select id, at, kind, doc from local.event where id > $1::bigint order by id limit $2::integer
