-- $1 after which revision, $2 rows at most (a group is never cut). Columns: rows jsonb, [] at the end.
-- BT010: the log here starts later; take a snapshot.
select local.log_rows($1::bigint, $2::integer) as rows
