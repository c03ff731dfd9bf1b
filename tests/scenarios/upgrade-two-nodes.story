# Two nodes, one acknowledgement: the upgraded one may lead only when the operator says that nobody has to
# acknowledge while the other is upgraded. Then the set grows back.
nodes east-1 west-1
k 1
quiet write
crash west-1
upgrade west-1
start west-1
run 1000
promote west-1
run 500
promote west-1 override acks
run 1000
show
write west-1
run 500
crash east-1
upgrade east-1
start east-1
run 3000
want 1 east-1 west-1
run 3000
write west-1
run 500
rest
show
----
    0 west-1 crashes: both
    0 west-1 has schema 2
    0 west-1 starts: both
    5 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
   20 west-1 ATTACHED: REJOINING -> STANDBY
 1000 west-1 BEGIN: STANDBY -> CANDIDATE
 1000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
 1004 west-1 promo ANSWER east-1: ASKING -> FAILED
      FINISHED
      because: check 'acks': acknowledgements of a write: 1 needed, 0 possible: writes would wait
 1004 west-1 FAILED: CANDIDATE -> STANDBY
 1500 west-1 BEGIN: STANDBY -> CANDIDATE
 1500 west-1 promo ORDER: FAILED -> ASKING
      ASK east-1
 1504 west-1 promo ANSWER east-1: ASKING -> ARMING
      ARM remake
 1510 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
 1514 west-1 promo PREPARED east-1 not ok: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
 1516 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
 1519 west-1 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 1522 east-1 CAPTURED: DRAINING -> FENCED
      WRITES_HOLD
      DEACTIVATE
 1524 west-1 promo CAPTURED east-1: CAPTURING -> ARMING
      ARM
 1530 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 1531 west-1 OPENED: CANDIDATE -> CLOSED
 1531 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
 1532 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      RELEASE east-1
 1532 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1536 west-1 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 2500
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 1/east-1:3
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:4 acts
 3000 east-1 crashes: both
 3000 east-1 has schema 2
 3000 east-1 starts: both
 3005 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3052 east-1 ATTACHED: REJOINING -> STANDBY
 3500 west-1 records the sync set: both, old and k=1 of 0x3, fewer than were promised
 4000 west-1 names k=1 of 0x3
 4500 west-1 records the sync set: both, acknowledged by k=1 of 0x3, fewer than were promised
 5000 west-1 records the sync set: only k=1 of 0x3
 9500 at rest
 9500
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:9 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:9 acts
