-- $1 name of a disabled subscription. Columns: stopped; false: its worker still runs after 2 s.
select local.sub_stop($1) as stopped
