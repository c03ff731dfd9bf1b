# The primary's host was restored from a backup of the same epoch. Its peers hold rows that it has not: it
# stays fenced, although nobody has promised anything later. A promotion, here of itself, pulls them.
nodes east-1 east-2 west-1
quiet write
write west-1 5
run 200
crash east-1
forget east-1 3
start east-1
run 3000
show
promote east-1
run 1000
write east-2
run 1000
show
rest
----
  200 east-1 crashes: both
  200 east-1 loses 3 rows
  200 east-1 starts: both
 3200
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:5
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:8 follows east-1
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:8 follows east-1
 3200 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 3200 east-1 promo ORDER: IDLE -> ASKING
      ASK east-2
      ASK west-1
 3204 east-1 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-1
      CAPTURE east-2 epoch 2/east-1
      CAPTURE west-1 epoch 2/east-1
 3207 east-2 CAPTURED: STANDBY -> FENCED
 3207 west-1 CAPTURED: STANDBY -> FENCED
 3209 east-1 promo CAPTURED east-2: CAPTURING -> CATCHING_UP
      PULL east-2
 3223 east-1 promo PULLED: CATCHING_UP -> ARMING
      DETACH
      ARM remake
 3232 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-1
 3233 east-1 OPENED: CANDIDATE -> CLOSED
 3233 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-1
      FOLLOW east-2 epoch 2/east-1
      FOLLOW west-1 epoch 2/east-1
 3235 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 2/east-1
 3235 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 2/east-1
 3255 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3255 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3275 east-2 ATTACHED: REJOINING -> STANDBY
 3275 west-1 ATTACHED: REJOINING -> STANDBY
 5200
      east-1 PRIMARY epoch 2/east-1 promised 2/east-1 log 2/east-1:10 acts
      east-2 STANDBY epoch - promised 2/east-1 log 2/east-1:10 follows east-1
      west-1 STANDBY epoch - promised 2/east-1 log 2/east-1:10 follows east-1
 5200 at rest
