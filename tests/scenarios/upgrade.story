# S55 of docs/decisions/0018.
# Secondaries first: each stops, gets the next schema and follows again. Then one of them leads, and the
# old primary, whose schema is older now, follows only when it is upgraded too.
nodes east-1 east-2 west-1
quiet write
crash west-1
upgrade west-1
start west-1
run 1000
crash east-2
upgrade east-2
start east-2
run 1000
write east-1
run 100
promote west-1
run 1000
show
write west-1
run 1000
show
crash east-1
upgrade east-1
start east-1
run 2000
rest
----
    0 west-1 crashes: both
    0 west-1 has schema 2
    0 west-1 starts: both
    5 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
   20 west-1 ATTACHED: REJOINING -> STANDBY
 1000 east-2 crashes: both
 1000 east-2 has schema 2
 1000 east-2 starts: both
 1005 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 1020 east-2 ATTACHED: REJOINING -> STANDBY
 2100 west-1 BEGIN: STANDBY -> CANDIDATE
 2100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2104 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
 2113 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
 2149 west-1 promo PREPARED east-2: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
 2151 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
 2154 west-1 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2157 east-1 CAPTURED: DRAINING -> FENCED
      WRITES_HOLD
      DEACTIVATE
 2157 east-2 CAPTURED: STANDBY -> FENCED
 2159 west-1 promo CAPTURED east-1: CAPTURING -> OPENING
      OPEN epoch 2/west-1
 2160 west-1 OPENED: CANDIDATE -> CLOSED
 2160 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
 2165 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-2 epoch 2/west-1
      RELEASE east-1
 2165 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2167 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 2169 west-1 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 2182 east-2 ATTACHED: REJOINING -> STANDBY
 3100
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 1/east-1:4
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
 4100
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 1/east-1:4
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:6 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:6 acts
 4100 east-1 crashes: both
 4100 east-1 has schema 2
 4100 east-1 starts: both
 4105 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 4152 east-1 ATTACHED: REJOINING -> STANDBY
 6100 at rest
