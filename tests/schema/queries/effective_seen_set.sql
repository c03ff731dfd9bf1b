-- $1 connector, $2 epoch, $3 server. Columns: epoch. No row: a higher epoch is stored (I10).
insert into local.effective_seen as s (connector, epoch, server) values ($1, $2::bigint, $3)
on conflict (connector) do update set epoch = excluded.epoch, server = excluded.server
    where s.epoch <= excluded.epoch
returning epoch
