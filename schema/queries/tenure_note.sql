-- $1 arbiter, $2 seen, $3 its holder, $4 cleared, $5 its holder: what the lease knows, kept over restarts.
select local.tenure_note($1, $2, $3, $4, $5)
