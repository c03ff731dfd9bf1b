-- $1 epoch, $2 holder. Columns: granted, again (this promise was given before), was_primary, before and
-- before_holder (the promise until now), sync_set jsonb (null: none in the log), then as position. Always a
-- row; granted = false: a higher epoch is promised, see promised.
-- 55P03: a writer or an apply worker did not end within 2 s; nothing is promised.
select granted, again, was_primary, before, before_holder, sync_set, (at_position).*
from local.capture($1::bigint, $2)
