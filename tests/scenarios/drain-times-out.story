# The rows to the candidate are held up: it does not reach the last revision of the frozen primary in time.
# The switchover is given up, and the old primary opens again under its old epoch; the write that came
# meanwhile was held, not refused.
nodes east-1 east-2 west-1
hold east-1 west-1
write east-1 2
run 100
on west-1 DRAINING write east-2
promote west-1
run 4000
release east-1 west-1
run 1000
show
rest
----
    7 write 1: acknowledged
   12 write 2: acknowledged
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
 1154 west-1 promo TIMEOUT: DRAINING -> THAWING
      THAW east-1
 1156 east-1 THAW: DRAINING -> DRAINING
      THAW_DATABASE epoch 1/east-1
 1157 east-1 REOPENED: DRAINING -> PRIMARY
      WRITES_OPEN
 1158 west-1 promo THAWED: THAWING -> FAILED
      FINISHED
      because: revision 5 of east-1 did not arrive in time, 3 is here
 1158 west-1 FAILED: CANDIDATE -> STANDBY
 1164 write 3: acknowledged
 5100
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:6 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:6 follows east-1
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:6 follows east-1
 5100 at rest
