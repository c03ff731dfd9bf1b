# East-1 is primary on one side of a cut, and west-1 is promoted on the other. When they meet somebody has a lock of east-1's
# local.node, so that it cannot be fenced. It tries again until it is, and only then follows west-1.
nodes east-1 east-2 west-1
quiet write
cut east-1 east-2
cut east-1 west-1
run 1000
promote west-1 override freeze
run 3000
lock east-1
heal
run 5000
show
unlock east-1
run 3000
show
rest
----
 1000 west-1 BEGIN: STANDBY -> CANDIDATE
 1000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2000 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2003 east-2 CAPTURED: STANDBY -> FENCED
 2005 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 2014 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 2015 west-1 OPENED: CANDIDATE -> CLOSED
 2015 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 2017 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 2037 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2037 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2057 east-2 ATTACHED: REJOINING -> STANDBY
 4947 east-1 HEARD: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 6948 east-1 FENCED: FENCED -> FENCED
 7448 east-1 TICK: FENCED -> FENCED
      FENCE_DATABASE
 9000
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:4 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:4 acts
 9009 east-1 FENCED: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 9056 east-1 ATTACHED: REJOINING -> STANDBY
12000
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:4 follows west-1
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:4 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:4 acts
12000 at rest
