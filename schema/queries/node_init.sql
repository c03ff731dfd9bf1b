-- $1 cluster id, $2 node, $3 site. Makes the row of local.node, or does nothing when it is this one.
-- BT011: the database belongs to another node.
select local.node_init($1::uuid, $2, $3)
