# The primary is lost while one standby is upgraded and the other is not. The upgraded one would have nobody
# to acknowledge its writes; the other one has.
nodes east-1 east-2 west-1
quiet write
crash east-2
upgrade east-2
start east-2
run 1000
write east-1
run 100
crash east-1
run 1000
promote east-2
run 500
promote west-1
run 3000
show
start east-1
run 3000
rest
----
    0 east-2 crashes: both
    0 east-2 has schema 2
    0 east-2 starts: both
    5 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
   20 east-2 ATTACHED: REJOINING -> STANDBY
 1100 east-1 crashes: both
 2100 east-2 BEGIN: STANDBY -> CANDIDATE
 2100 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 2104 east-2 promo ANSWER west-1: ASKING -> FAILED
      FINISHED
      because: check 'acks': acknowledgements of a write: 1 needed, 0 possible: writes would wait
 2104 east-2 FAILED: CANDIDATE -> STANDBY
 2600 west-1 BEGIN: STANDBY -> CANDIDATE
 2600 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2604 west-1 promo ANSWER east-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2607 east-2 CAPTURED: STANDBY -> FENCED
 2609 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 2618 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 2619 west-1 OPENED: CANDIDATE -> CLOSED
 2619 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 2621 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 2641 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2641 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2661 east-2 ATTACHED: REJOINING -> STANDBY
 5600
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:4
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
 5600 east-1 starts: both
 5605 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 5652 east-1 ATTACHED: REJOINING -> STANDBY
 8600 at rest
