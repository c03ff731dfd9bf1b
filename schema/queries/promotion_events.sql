-- $1 rows at most. Columns: doc. Promotions that ran on this node, the newest first. No row: none.
select doc::text as doc from local.event where kind = 'promotion' order by id desc limit $1::integer
