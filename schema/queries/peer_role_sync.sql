-- $1 text[]: logins of the members other than this node. Columns: role, action. No row: all was right.
select role, action from local.peer_role_sync($1::text[])
