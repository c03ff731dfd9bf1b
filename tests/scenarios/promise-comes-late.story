# A planned promotion: every member was there a moment ago, and has stopped to write for it. Then both others stand still for a while.
# To give up would leave nobody primary; so west-1 waits for their promises, and goes on with the first.
nodes east-1 east-2 west-1
quiet write
run 500
on west-1 CAPTURING stop east-1 daemon
on west-1 CAPTURING stop east-2 daemon
promote west-1
run 2500
continue east-2 daemon
run 500
show
continue east-1 daemon
run 3000
rest
----
  500 west-1 BEGIN: STANDBY -> CANDIDATE
  500 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  504 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
  513 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
  549 west-1 promo PREPARED east-2: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
  551 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
  554 west-1 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  554 east-1 stands still: daemon
  554 east-2 stands still: daemon
 1554 west-1 promo TIMEOUT: CAPTURING -> CAPTURING
 3000 east-2 goes on: daemon
 3001 east-2 CAPTURED: STANDBY -> FENCED
 3003 west-1 promo CAPTURED east-2: CAPTURING -> OPENING
      OPEN epoch 2/west-1
 3004 west-1 OPENED: CANDIDATE -> CLOSED
 3004 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
 3009 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
      RELEASE east-1
 3009 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3011 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3026 east-2 ATTACHED: REJOINING -> STANDBY
 3500
      east-1 DRAINING epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:4 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:4
 3500 east-1 goes on: daemon
 3500 east-1 HEARD: DRAINING -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 3502 west-1 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 3502 east-1 FENCED: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3549 east-1 ATTACHED: REJOINING -> STANDBY
 6500 at rest
