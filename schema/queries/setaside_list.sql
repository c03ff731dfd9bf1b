-- Columns: batch, taken_at, against_epoch, against_holder, first, last (revisions), rows, kept, applied,
-- discarded (counts). Newest first. No row: nothing was ever set aside.
select batch, min(taken_at) as taken_at, min(against_epoch) as against_epoch,
    min(against_holder) as against_holder, min(revision) as first, max(revision) as last,
    count(*) as rows, count(*) filter (where state = 'kept') as kept,
    count(*) filter (where state = 'applied') as applied,
    count(*) filter (where state = 'discarded') as discarded
from local.setaside group by batch order by batch desc
