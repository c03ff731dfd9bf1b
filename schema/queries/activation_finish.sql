-- $1 action id, $2 state, $3 output (its first 8 KiB are kept). Columns: found.
select local.activation_finish($1, $2, $3) as found
