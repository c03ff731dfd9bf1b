# The candidate has opened epoch 2, and its database goes before the first row is acknowledged. The
# promotion ends; it would wait for ever, and no other could be ordered on this node.
nodes east-1 east-2 west-1
crash east-1
run 100
on west-1 ACKNOWLEDGING crash west-1 database
promote west-1
run 3000
show
start west-1
run 1000
show
promote west-1
run 1000
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
  119 west-1 crashes: database
  121 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  121 west-1 LOST: CLOSED -> FENCED
      WRITES_CLOSE
  121 west-1 promo LOST: ACKNOWLEDGING -> FAILED
      FINISHED
      because: west-1 cannot go on: the database does not answer: connection lost
  121 west-1 FAILED: refused in FENCED
  128 east-2 ATTACHED not ok, the database does not answer: REJOINING -> FENCED
  628 east-2 TICK: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  635 east-2 ATTACHED not ok, the database does not answer: REJOINING -> FENCED
 3100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 FENCED epoch - promised 2/west-1 log 1/east-1:3
      west-1 FENCED (database down) epoch 2/west-1 promised 2/west-1 log 1/east-1:3
 3100 west-1 starts: both
 3121 west-1 START: FENCED -> FENCED
      RESUME
 3121 west-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 3121 west-1 promo ORDER: FAILED -> ARMING
      ARM
 3130 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1 resume
 3131 west-1 OPENED: CANDIDATE -> CLOSED
 3131 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 3133 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3153 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3153 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3173 east-2 ATTACHED: REJOINING -> STANDBY
 4100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:4 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:4 acts
 4100 west-1 does not take the order
 5100 east-1 starts: both
 5105 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 5152 east-1 ATTACHED: REJOINING -> STANDBY
 8100 at rest
