# A planned switchover under writes: they are held, not refused, and none is lost.
nodes east-1 east-2 west-1
write east-1
run 100
at 150 write east-1 2
at 160 write west-1
on west-1 DRAINING write east-2
promote west-1
run 300
show
run 3000
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
  154 west-1 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  157 east-1 CAPTURED: DRAINING -> FENCED
      WRITES_HOLD
      DEACTIVATE
  157 east-2 CAPTURED: STANDBY -> FENCED
  159 west-1 promo CAPTURED east-1: CAPTURING -> OPENING
      OPEN epoch 2/west-1
  160 west-1 OPENED: CANDIDATE -> CLOSED
  160 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
  165 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
      RELEASE east-1
  165 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
  167 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  167 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
  169 west-1 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
  170 write 4: acknowledged
  177 write 2: acknowledged
  182 write 3: acknowledged
  182 east-1 ATTACHED: REJOINING -> STANDBY
  182 east-2 ATTACHED: REJOINING -> STANDBY
  400
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:8 follows west-1
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:8 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:8 acts
 3400 at rest
