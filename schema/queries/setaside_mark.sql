-- $1 batch, $2 'applied' or 'discarded', $3 author, $4 revision of the write that applied it, or null,
-- $5 only these revisions (bigint[]), or null for all of the batch.
-- Columns: marked, 0 when all of it was decided before or there is no such batch.
select local.setaside_mark($1::bigint, $2, $3, $4::bigint, $5::bigint[]) as marked
