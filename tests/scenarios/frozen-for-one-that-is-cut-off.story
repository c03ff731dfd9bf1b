# The candidate lives, and the frozen primary cannot reach it: it opens soon, and acknowledges more. The candidate goes
# on without it, and has what was acknowledged meanwhile from who is captured: the freeze is for the clients, not for
# the rows.
nodes east-1 east-2 west-1
hold east-1 west-1
write east-1
run 100
on west-1 DRAINING cut west-1 east-1 https
promote west-1
at 600 write east-1
at 800 hold east-1 east-2
at 900 release east-1 west-1
run 3000
show
heal
release east-1 east-2
run 4000
show
rest
----
    7 write 1: acknowledged
  100 west-1 BEGIN: STANDBY -> CANDIDATE
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  104 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
  113 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
  149 west-1 promo PREPARED east-2: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
  151 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
  154 west-1 promo FROZEN: FREEZING -> DRAINING
  527 east-1 THAW: DRAINING -> DRAINING
      THAW_DATABASE epoch 1/east-1
  528 east-1 REOPENED: DRAINING -> PRIMARY
      WRITES_OPEN
  607 write 2: acknowledged
  905 west-1 promo APPLIED: DRAINING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  908 east-2 CAPTURED: STANDBY -> FENCED
 1905 west-1 promo TIMEOUT: CAPTURING -> CATCHING_UP
      PULL east-2
 1919 west-1 promo PULLED: CATCHING_UP -> ARMING
      ARM
 1928 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 1929 west-1 OPENED: CANDIDATE -> CLOSED
 1929 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
 1934 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
      RELEASE east-1
 1934 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1936 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1947 east-1 HEARD: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 1951 east-2 ATTACHED: REJOINING -> STANDBY
 3100
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 2/west-1:6
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:6 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:6
 3934 west-1 promo RELEASED not ok: RELEASING -> DONE
      ACTIVATE
      FINISHED
 3951 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3966 east-1 ATTACHED: REJOINING -> STANDBY
 7100
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:6 follows west-1
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:6 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:6 acts
 7100 at rest
