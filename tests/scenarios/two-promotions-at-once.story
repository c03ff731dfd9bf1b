# S81 of docs/decisions/0018.
# East-1 is lost, and two people promote at the same moment. Both candidates reach for epoch 2; the
# pairs (2, east-2) and (2, west-1) are compared, so the later one wins everywhere, and the other ends.
nodes east-1 east-2 west-1
quiet write
crash east-1
run 2000
promote east-2
promote west-1
run 3000
show
start east-1
run 3000
rest
----
    0 east-1 crashes: both
 2000 east-2 BEGIN: STANDBY -> CANDIDATE
 2000 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 2000 west-1 BEGIN: STANDBY -> CANDIDATE
 2000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2004 east-2 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 2004 west-1 promo ANSWER east-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2007 east-2 promo SUPERSEDED: CAPTURING -> FAILED
      FINISHED
      because: east-2 has promised the later epoch 2/west-1: another promotion came before this one
 2007 east-2 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 2009 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 2018 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 2019 west-1 OPENED: CANDIDATE -> CLOSED
 2019 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 2021 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 2041 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2041 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2061 east-2 ATTACHED: REJOINING -> STANDBY
 5000
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:4 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:4 acts
 5000 east-1 starts: both
 5005 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 5052 east-1 ATTACHED: REJOINING -> STANDBY
 8000 at rest
