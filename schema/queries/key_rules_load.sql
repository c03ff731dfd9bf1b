-- $1 jsonb: [{"pattern", "scope"}], the whole table of known keys. Columns: loaded.
select local.key_rules_load($1::jsonb) as loaded
