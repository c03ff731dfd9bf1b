# The candidate's daemon dies after its database took epoch 2, before the first row is acknowledged. It
# comes back fenced; the epoch is its own, and as soon as a peer confirms it, it goes on.
nodes east-1 east-2 west-1
quiet write
crash east-1
run 100
on west-1 CLOSED crash west-1 daemon
promote west-1
run 1000
show
start west-1
run 3000
show
start east-1
run 3000
rest
----
    0 east-1 crashes: both
  100 west-1 BEGIN: STANDBY -> CANDIDATE
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  104 west-1 promo ANSWER east-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  107 east-2 CAPTURED: STANDBY -> FENCED
  109 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
  118 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
  119 west-1 OPENED: CANDIDATE -> CLOSED
  119 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
  119 west-1 crashes: daemon
  121 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  128 east-2 ATTACHED not ok, connection refused: REJOINING -> FENCED
  628 east-2 TICK: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  635 east-2 ATTACHED not ok, connection refused: REJOINING -> FENCED
 1100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 FENCED epoch - promised 2/west-1 log 1/east-1:3
      west-1 (daemon down) epoch 2/west-1 promised 2/west-1 log 1/east-1:3
 1100 west-1 starts: both
 1105 west-1 HEARD: FENCED -> FENCED
      RESUME
 1105 west-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 1105 west-1 promo ORDER: IDLE -> ARMING
      ARM
 1114 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1 resume
 1115 west-1 OPENED: CANDIDATE -> CLOSED
 1115 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 1135 east-2 TICK: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1162 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 1162 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1182 east-2 ATTACHED: REJOINING -> STANDBY
 4100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
 4100 east-1 starts: both
 4105 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 4152 east-1 ATTACHED: REJOINING -> STANDBY
 7100 at rest
