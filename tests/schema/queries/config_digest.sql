-- Columns: revision, digest (hexadecimal SHA-256 of the whole state).
select p.applied as revision, (select encode(sha256(convert_to(coalesce(string_agg(jsonb_build_array(c.site, c.key,
        c.value, c.revision)::text, E'\n' order by c.key, c.site), ''), 'UTF8')), 'hex') from shared.config c) as digest
from local.position() p
