-- $1 batch. Columns: batch, taken_at, against_epoch, against_holder, revision, epoch, holder, txn, site, key,
-- value (null: a deletion), deleted, author, at, reason, state, decided_by, decided_at, decided_revision.
-- No row: no such batch.
select batch, taken_at, against_epoch, against_holder, revision, epoch, holder, txn, site, key, value,
    value is null as deleted, author, at, reason, state, decided_by, decided_at, decided_revision
from local.setaside where batch = $1::bigint order by revision
