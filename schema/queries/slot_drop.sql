-- $1 name. Columns: dropped, false when there was none. 55006: still in use after 2 s.
select local.slot_drop($1) as dropped
