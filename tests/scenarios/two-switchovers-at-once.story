# East-1 is well, and two people promote at nearly the same moment. Both candidates want epoch 2; west-1's pair
# (2, west-1) would be the later one, but east-2 is first to freeze east-1 and asks for promises. West-1 has
# asked nobody for one yet, and the primary that it was to take over from is none any more: it ends with its
# own promise to east-2, not when the time to prepare is over.
nodes east-1 east-2 west-1
quiet write
run 1000
promote east-2
run 20
promote west-1
run 3000
show
rest
----
 1000 east-2 BEGIN: STANDBY -> CANDIDATE
 1000 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 1004 east-2 promo ANSWER west-1: ASKING -> ARMING
      ARM remake
 1013 east-2 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE west-1
 1020 west-1 BEGIN: STANDBY -> CANDIDATE
 1020 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 1024 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
 1033 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
 1049 east-2 promo PREPARED west-1: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/east-2
 1051 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
 1054 east-2 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 1057 east-1 CAPTURED: DRAINING -> FENCED
      WRITES_HOLD
      DEACTIVATE
 1057 west-1 promo SUPERSEDED: PREPARING -> FAILED
      FINISHED
      because: west-1 has promised epoch 2/east-2: another promotion came before this one
 1057 west-1 FAILED: CANDIDATE -> STANDBY
 1057 west-1 CAPTURED: STANDBY -> FENCED
 1059 east-2 promo CAPTURED east-1: CAPTURING -> OPENING
      OPEN epoch 2/east-2
 1060 east-2 OPENED: CANDIDATE -> CLOSED
 1060 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
 1062 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1065 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW west-1 epoch 2/east-2
      RELEASE east-1
 1065 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1067 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1069 east-2 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 1077 east-1 ATTACHED: REJOINING -> STANDBY
 1082 west-1 ATTACHED: REJOINING -> STANDBY
 4020
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:4 follows east-2
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:4 acts
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:4 follows east-2
 4020 at rest
