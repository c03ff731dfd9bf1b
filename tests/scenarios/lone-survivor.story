# S51 of docs/decisions/0018.
# The whole east is lost, and a person takes the possible loss on. West-1 opens alone: from this epoch on no
# acknowledgement is asked for, which its first row records. When the east returns, write 1 is set aside
# where it was acknowledged, and the set grows again.
nodes east-1 east-2 west-1
hold east-1 west-1
write east-1
run 100
crash east-1
crash east-2
promote west-1 accept-data-loss
run 500
write west-1
run 100
show
start east-1
start east-2
run 3000
show
rest
----
    7 write 1: acknowledged
  100 east-1 crashes: both
  100 east-2 crashes: both
  100 west-1 BEGIN: STANDBY -> CANDIDATE
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  104 west-1 promo ANSWER east-2 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  108 west-1 promo CAPTURED east-2 not ok: CAPTURING -> ARMING
      DETACH
      ARM remake
  117 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
  118 west-1 OPENED: CANDIDATE -> CLOSED
  118 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
  119 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
  119 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
  603 write 2: acknowledged
  700
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:4
      east-2 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:4
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
  700 east-1 starts: both
  700 east-2 starts: both
  705 east-1 HEARD: FENCED -> FENCED
      RESUME
  705 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
  705 east-1 promo ORDER: IDLE -> ARMING
      ARM
  705 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  714 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
  715 east-1 OPENED: CANDIDATE -> CLOSED
  715 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
  718 east-2 sets 1 rows aside, above revision 3
  761 east-2 ATTACHED: REJOINING -> STANDBY
  943 west-1 records the sync set: both, old and k=1 of 0x7, fewer than were promised
 1443 west-1 names k=1 of 0x7
 1704 east-1 HEARD: CLOSED -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 1704 east-1 promo LOST: ACKNOWLEDGING -> FAILED
      FINISHED
      because: east-1 cannot go on: west-1 is primary of the later epoch 2/west-1
 1704 east-1 FAILED: refused in FENCED
 1705 east-1 FENCED: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1718 east-1 sets 2 rows aside, above revision 3
 1761 east-1 ATTACHED: REJOINING -> STANDBY
 1943 west-1 records the sync set: both, acknowledged by k=1 of 0x7, fewer than were promised
 2443 west-1 records the sync set: only k=1 of 0x7
 3700
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:8 follows west-1 set aside 2
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:8 follows west-1 set aside 1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:8 acts
 3700 at rest
