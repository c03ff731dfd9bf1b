-- $1 milliseconds; null: without end. Until then this node takes writes, as far as the lease goes.
select local.tenure_set($1)
