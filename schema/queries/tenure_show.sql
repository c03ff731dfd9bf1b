-- Columns: arbiter, seen, seen_holder, cleared, cleared_holder. One row.
select arbiter, seen, seen_holder, cleared, cleared_holder from local.tenure_show()
