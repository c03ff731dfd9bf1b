-- $1 connector, $2 action id, $3 epoch, $4 holder, $5 server, $6 'activate' or 'deactivate', $7 driver.
-- Columns: id. The same action again starts anew.
select local.activation_add($1, $2, $3::bigint, $4, $5, $6, $7) as id
