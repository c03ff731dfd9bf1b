-- $1 prefix of keys ('' all), $2 site ('' the cluster's, null every one).
-- Columns: site, key, value, revision, epoch, author, at. No row: no such key.
select site, key, value, revision, epoch, author, at
from shared.config
where starts_with(key, $1) and ($2::text is null or site = $2)
order by key, site
