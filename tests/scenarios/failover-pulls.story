# West-1 is ordered to take over and lags: the writes that were acknowledged by east-2 have not reached
# it. It captures east-2, pulls them from there, and then opens.
nodes east-1 east-2 west-1
quiet node
hold east-1 west-1
write east-1 3
run 100
crash east-1
promote west-1
run 500
show
start east-1
run 2000
rest
----
    7 write 1: acknowledged
   12 write 2: acknowledged
   17 write 3: acknowledged
  100 east-1 crashes: both
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  104 west-1 promo ANSWER east-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  109 west-1 promo CAPTURED east-2: CAPTURING -> CATCHING_UP
      PULL east-2
  123 west-1 promo PULLED: CATCHING_UP -> ARMING
      DETACH
      ARM remake
  132 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
  133 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
  155 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
  600
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:6
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:7 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:7 acts
  600 east-1 starts: both
 2600 at rest
