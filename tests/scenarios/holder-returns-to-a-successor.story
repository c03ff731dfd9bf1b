# The holder restarts and asks the arbiter for its epoch again, which takes a while; meanwhile it hears of
# east-2, primary of a later one, and follows. It stops asking: else it would hold the lease of an epoch that
# is over, and east-2 would never get its own.
nodes east-1 east-2 west-1
arbiter witness
quiet act write
run 2000
arbiter 1 stop
crash east-1
run 500
cut east-1 east-2
promote east-2
run 300
start east-1
run 1000
arbiter 1 continue
run 300
heal
run 12000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 arbiter 1 stands still
 2000 east-1 crashes: both
 2500 east-2 BEGIN: STANDBY -> CANDIDATE
 2500 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 2800 east-1 starts: both
 2805 east-1 HEARD: FENCED -> FENCED
      WANT epoch 1/east-1
 2805 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
 3500 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 3503 west-1 CAPTURED: STANDBY -> FENCED
 3505 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 3514 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 3516 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 3516 east-2 OPENED: CANDIDATE -> CLOSED
 3516 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 3518 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 3538 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3538 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3558 west-1 ATTACHED: REJOINING -> STANDBY
 3800 east-1 TICK: FENCED -> FENCED
      WANT epoch 1/east-1
 3800 arbiter 1 goes on
 3810 east-1 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/east-1)
 5059 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 5059 east-1 lease CLOSE: HELD -> RELEASING (gave up; the lease is released when nothing acts here any more)
 5086 east-1 lease REPLY DONE: RELEASING -> IDLE (nothing to hold here)
 5106 east-1 ATTACHED: REJOINING -> STANDBY
 5814 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
 5818 east-2 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 2/east-2)
16100
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
16100 at rest
