# The set shrinks from {east-1, west-1} with k=1 to {east-1} alone, and the primary stops in the middle:
# the record that counts both sets is written, the new one is not. Then it is promoted by order. While
# both count one acknowledgement of west-1 is needed, and west-1 can give it, although it is not in
# the new set. The change goes on to its end.
nodes east-1 west-1
k 1
quiet write
want 0 east-1
run 600
crash east-1 daemon
cut east-1 west-1 https
start east-1
run 500
heal
promote east-1
run 5000
rest
----
  446 east-1 records the sync set: both, old and k=0 of 0x1
  600 east-1 crashes: daemon
  600 east-1 starts: both
 1100 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 1100 east-1 promo ORDER: IDLE -> ASKING
      ASK west-1
 1104 east-1 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-1
      CAPTURE west-1 epoch 2/east-1
 1105 east-1 promo CAPTURED east-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 1107 west-1 CAPTURED: STANDBY -> FENCED
 1111 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-1
 1112 east-1 OPENED: CANDIDATE -> CLOSED
 1112 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-1
      FOLLOW west-1 epoch 2/east-1
 1114 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 2/east-1
 1134 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 1134 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1154 west-1 ATTACHED: REJOINING -> STANDBY
 1600 east-1 names k=0 of 0x1
 2100 east-1 records the sync set: both, acknowledged by k=0 of 0x1
 2600 east-1 records the sync set: only k=0 of 0x1
 6100 at rest
