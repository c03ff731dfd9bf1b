# East-2 promises itself an epoch, and its database stands still until the promotion is over. The promise
# holds all the same, and east-2 has to say so: else it would follow a primary whose rows its own database
# refuses, for ever. So the primary sees it, and renews its epoch.
nodes east-1 east-2 west-1
quiet write
run 500
at 503 cut east-2 > east-1 https
at 503 cut east-2 > west-1 https
on east-2 CAPTURING stop east-2 database
promote east-2 override freeze
run 6000
continue east-2 database
heal
run 15000
show
rest
----
  500 east-2 BEGIN: STANDBY -> CANDIDATE
  500 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
  504 east-2 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
  504 east-2 stands still: database
 1504 east-2 promo TIMEOUT: CAPTURING -> CAPTURING
 4504 east-2 promo TIMEOUT: CAPTURING -> FAILED
      FINISHED
      because: promises given: 0, needed to hold every acknowledged write: 2
 4504 east-2 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 6500 east-2 goes on: database
13943 east-1 TICK: PRIMARY -> PRIMARY
      RENEW
13943 east-1 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
13943 east-1 promo ORDER: DONE -> ASKING
      ASK east-2
      ASK west-1
13947 east-1 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/east-1
      CAPTURE east-2 epoch 3/east-1
      CAPTURE west-1 epoch 3/east-1
13950 west-1 CAPTURED: STANDBY -> FENCED
13952 east-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM
13961 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/east-1
13962 east-1 OPENED: CANDIDATE -> CLOSED
13962 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/east-1
      FOLLOW east-2 epoch 3/east-1
      FOLLOW west-1 epoch 3/east-1
13964 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
13964 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
13967 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
13967 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
13979 east-2 ATTACHED: REJOINING -> STANDBY
13979 west-1 ATTACHED: REJOINING -> STANDBY
21500
      east-1 PRIMARY epoch 3/east-1 promised 3/east-1 log 3/east-1:4 acts
      east-2 STANDBY epoch - promised 3/east-1 log 3/east-1:4 follows east-1
      west-1 STANDBY epoch - promised 3/east-1 log 3/east-1:4 follows east-1
21500 at rest
