# West-1 lags behind when it is ordered to take over, and its log still says k=0. While it drains, the
# rows arrive that changed the set to k=1: it sets its names anew before it opens, else its own writes
# would be acknowledged by nobody.
nodes east-1 east-2 west-1
k 0
quiet node write
hold east-1 west-1
want 1 east-1 east-2 west-1
run 2000
on west-1 DRAINING release east-1 west-1
promote west-1
run 3000
show
rest
----
  436 east-1 records the sync set: both, old and k=1 of 0x7
  936 east-1 names k=1 of 0x7
 1436 east-1 records the sync set: both, acknowledged by k=1 of 0x7
 1936 east-1 records the sync set: only k=1 of 0x7
 2000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2004 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
 2013 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
 2049 west-1 promo PREPARED east-2: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
 2054 west-1 promo FROZEN: FREEZING -> DRAINING
 2141 west-1 promo APPLIED: DRAINING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2146 west-1 promo CAPTURED east-1: CAPTURING -> ARMING
      ARM
 2155 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 2156 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
 2161 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
      RELEASE east-1
 2165 west-1 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 5000
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:7 follows west-1
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:7 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:7 acts
 5000 at rest
