-- $1 rows to keep at least, $2 days to keep at least. Columns: pruned, at most 10,000: repeat until 0.
select local.log_prune($1::bigint, $2::integer) as pruned
