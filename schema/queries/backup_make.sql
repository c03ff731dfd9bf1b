-- Columns: doc jsonb, what baton backup writes of this node, as it is at one moment: {"head", "epochs", "config",
-- "local"}; null: the node is not made yet. Values are the text that the database prints: nothing rounds them.
select jsonb_build_object(
    'head', jsonb_build_object('revision', h.revision, 'epoch', h.epoch, 'holder', h.holder, 'hash', encode(h.hash, 'hex')),
    'epochs', coalesce((select jsonb_agg(jsonb_build_object('epoch', s.epoch, 'holder', s.holder, 'revision', s.revision)
        order by s.revision) from local.epoch_start s), '[]'),
    'config', coalesce((select jsonb_agg(jsonb_build_object('site', c.site, 'key', c.key, 'value', c.value::text,
            'revision', c.revision, 'epoch', c.epoch, 'author', c.author,
            'at', (extract(epoch from c.at) * 1000000)::bigint) order by c.key, c.site)
        from shared.config c), '[]'),
    'local', coalesce((select jsonb_agg(jsonb_build_object('key', s.key, 'value', s.value::text, 'author', s.author)
        order by s.key) from local.setting s), '[]')) as doc
from local.node n, local.head h
