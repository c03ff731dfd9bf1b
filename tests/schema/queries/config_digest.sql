-- Columns: revision, digest (hexadecimal SHA-256 of the whole state). Null: the node is not made yet.
select revision, digest from local.config_digest()
