-- $1 what: create, read, acquire, renew, release, promise, note, bar; $2 cluster; $3, $4 epoch; $5, $6 the highest
-- known to be granted, or NULL; $7 milliseconds; $8 adopt; $9 grant; $10, $11 number and text of a note, $11 also
-- who is barred.
-- Columns: see witness.answer. Always a row.
-- BW001: the witness's clock went back. A warning with the result: not granted.
select result, epoch, holder, lease_ms, remaining_ms, released, clean, grant_serial, promised, promised_holder,
    number, note
from witness.ask($1, $2::uuid, $3::bigint, $4, $5::bigint, $6, $7::integer, $8::boolean, $9::bigint, $10::bigint, $11)
