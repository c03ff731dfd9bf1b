# The old primary cannot stop: a write waits for an acknowledgement that does not come, for the rows to
# both others are held up. The switchover is given up, nothing has changed, and the old primary goes on
# under epoch 1.
nodes east-1 east-2 west-1
hold east-1 east-2
hold east-1 west-1
write east-1
run 100
promote west-1
run 6000
release east-1 east-2
release east-1 west-1
write west-1
run 1000
show
rest
----
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
 2149 west-1 promo FROZEN not ok: FREEZING -> THAWING
      THAW east-1
 2152 east-1 FROZEN: DRAINING -> PRIMARY
      WRITES_OPEN
 2153 west-1 promo THAWED: THAWING -> FAILED
      FINISHED
      because: east-1 did not stop taking writes: no answer in time
 2153 west-1 FAILED: CANDIDATE -> STANDBY
 6159 write 1: acknowledged
 6166 write 2: acknowledged
 7100
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1
 7100 at rest
