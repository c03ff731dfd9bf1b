-- Warms the session up for a switchover. Column done: false, when it could not be.
select local.rehearse() as done
