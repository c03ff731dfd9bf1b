# The candidate dies while the primary is frozen: nobody thaws it, and it opens by itself once it has asked for it in
# vain, long before the freeze would be over.
nodes east-1 east-2 west-1
hold east-1 west-1
write east-1
run 100
on west-1 DRAINING crash west-1
promote west-1
at 200 write east-1
run 7000
show
----
    7 write 1: acknowledged
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
  154 west-1 crashes: both
  406 east-1 THAW: DRAINING -> DRAINING
      THAW_DATABASE epoch 1/east-1
  407 east-1 REOPENED: DRAINING -> PRIMARY
      WRITES_OPEN
  412 write 2: acknowledged
 7100
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:3
