-- Columns: cancelled. Ends every COMMIT's wait for standbys; for those clients the outcome is unknown.
select local.waiters_cancel() as cancelled
