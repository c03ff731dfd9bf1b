# Batond and PostgreSQL of the primary end, its host lives: every path to it is refused, for both others.
# That is proof, so the takeover begins before the lease has run out. Acting on the outside waits for the
# lease all the same.
nodes east-1 east-2 west-1
arbiter etcd
quiet act
run 2000
crash east-1
run 2000
write east-2
run 8000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 crashes: both
 3442 east-2 takes over by itself: every path to it is refused, for all that answer, for 0.5 s
 3442 east-2 BEGIN: STANDBY -> CANDIDATE
 3442 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 3446 east-2 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 3449 west-1 CAPTURED: STANDBY -> FENCED
 3451 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 3460 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 3462 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 3462 east-2 OPENED: CANDIDATE -> CLOSED
 3462 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 3464 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 3484 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3484 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3504 west-1 ATTACHED: REJOINING -> STANDBY
 4007 write 1: acknowledged
 6959 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
11959 east-2 lease TICK: WAITING -> HELD (holds the lease of epoch 2/east-2)
12000
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:4 lease HELD
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
