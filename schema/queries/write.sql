-- $1 jsonb: [{"author", "reason"?, "if_match"?, "changes": [{"site"?, "key", "value" | "delete": true,
-- "if_match"?}]}]. Columns: answer jsonb, {"synchronous_commit", "groups": [one for each]}.
-- 25006: fenced, nothing written. BT006: over 1,000 changes in all. 40001: run it again.
-- A warning with the result: the outcome is unknown (I4).
select shared.write($1::jsonb) as answer
