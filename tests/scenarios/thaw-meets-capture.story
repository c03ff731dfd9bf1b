# West-1 gives its switchover up and asks the frozen primary to thaw, at the very moment at which east-2, for
# whom the freeze does not matter, captures it. The promise came first: the database must not open again,
# not even for somebody who writes past the daemon.
nodes east-1 east-2 west-1
k 0
hold east-1 west-1
write east-1
run 100
promote west-1
at 1149 promote east-2 override freeze
at 1170 write east-1 direct
run 1300
write east-2
run 2000
show
----
    3 write 1: acknowledged
  100 west-1 BEGIN: STANDBY -> CANDIDATE
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  104 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
  113 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
  149 west-1 promo PREPARED east-2: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
  151 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
  154 west-1 promo FROZEN: FREEZING -> DRAINING
 1149 east-2 BEGIN: STANDBY -> CANDIDATE
 1149 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 1153 east-2 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 1154 west-1 promo TIMEOUT: DRAINING -> THAWING
      THAW east-1
 1156 east-1 THAW: DRAINING -> DRAINING
      THAW_DATABASE epoch 1/east-1
 1156 east-1 CAPTURED: DRAINING -> FENCED
      WRITES_HOLD
      DEACTIVATE
 1158 west-1 promo THAWED: THAWING -> FAILED
      FINISHED
      because: revision 4 of east-1 did not arrive in time, 3 is here
 1158 west-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 1158 east-2 promo CAPTURED east-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 1167 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 1168 east-2 OPENED: CANDIDATE -> CLOSED
 1168 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 1169 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      RELEASE east-1
 1169 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1170 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1173 east-2 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 1173 write 2: refused
 1217 east-1 ATTACHED: REJOINING -> STANDBY
 1403 write 3: acknowledged
 1658 west-1 TICK: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1705 west-1 ATTACHED: REJOINING -> STANDBY
 3400
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2
