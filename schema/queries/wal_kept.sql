-- Columns: name, active, wal_status, kept_mb (null: lost), most_mb (-1: no bound). No row: none of Baton's slots. The one that
-- is worst: lost, or else keeps most of the write-ahead log.
select s.name, s.active, s.wal_status, (pg_wal_lsn_diff(pg_current_wal_lsn(), r.restart_lsn) / 1048576)::bigint as kept_mb,
    k.setting::bigint as most_mb
from local.slots() s join pg_replication_slots r on r.slot_name = s.name
    join pg_settings k on k.name = 'max_slot_wal_keep_size'
order by coalesce(s.wal_status, '') = 'lost' desc, kept_mb desc nulls last, s.active
limit 1
