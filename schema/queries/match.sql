-- $1 jsonb: a peer's points. Columns: revision, the largest that is in our history; null: none is.
select local.match($1::jsonb) as revision
