# A candidate captures the others and dies before it opens; its promises are left behind, and east-2 refuses
# the rows of epoch 1. The primary, which was not captured, sees the later promises and takes a later epoch
# itself. (No switchover: the candidate does not reach the primary.)
nodes east-1 east-2 west-1
cut east-1 west-1 https
on west-1 ARMING crash west-1
promote west-1
run 1500
write east-1
run 10000
show
start west-1
heal
run 3000
rest
----
    0 west-1 BEGIN: STANDBY -> CANDIDATE
    0 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 1000 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 1003 east-2 CAPTURED: STANDBY -> FENCED
 1005 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 1005 west-1 crashes: both
 8943 east-1 TICK: PRIMARY -> PRIMARY
      RENEW
 8943 east-1 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
 8943 east-1 promo ORDER: DONE -> ASKING
      ASK east-2
      ASK west-1
 9943 east-1 promo ANSWER west-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/east-1
      CAPTURE east-2 epoch 3/east-1
      CAPTURE west-1 epoch 3/east-1
 9944 write 1: unknown
 9948 east-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM
 9957 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/east-1
 9958 east-1 OPENED: CANDIDATE -> CLOSED
 9958 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/east-1
      FOLLOW east-2 epoch 3/east-1
      FOLLOW west-1 epoch 3/east-1
 9960 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
 9982 east-2 ATTACHED: REJOINING -> STANDBY
 9983 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 9983 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
11500
      east-1 PRIMARY epoch 3/east-1 promised 3/east-1 log 3/east-1:5 acts
      east-2 STANDBY epoch - promised 3/east-1 log 3/east-1:5 follows east-1
      west-1 (daemon down) (database down) epoch - promised 2/west-1 log 1/east-1:3
11500 west-1 starts: both
11505 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
11577 west-1 ATTACHED: REJOINING -> STANDBY
14500 at rest
