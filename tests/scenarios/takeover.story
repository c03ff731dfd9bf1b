# The primary's host loses its power. Nobody says that nothing listens there: silence is no proof, so the
# takeover waits until the lease has run out. West is manual: the other node of the site takes over, acts
# on the outside only when one more lease has passed, and the old primary follows when it is back.
nodes east-1 east-2 west-1
arbiter witness
keeper
quiet act
write west-1
run 2000
power-off east-1
run 6000
write west-1
run 8000
show
power-on east-1
run 4000
show
rest
----
   11 write 1: acknowledged
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 crashes: both
 7034 east-2 takes over by itself: its lease is over, and nobody meets it as primary, for 3.0 s
 7034 east-2 BEGIN: STANDBY -> CANDIDATE
 7034 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 8002 write 2: refused
 8034 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 8037 west-1 CAPTURED: STANDBY -> FENCED
 8039 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 8048 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 8050 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 8050 east-2 OPENED: CANDIDATE -> CLOSED
 8050 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 8052 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 8058 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
 8072 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 8072 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 8092 west-1 ATTACHED: REJOINING -> STANDBY
13058 east-2 lease TICK: WAITING -> HELD (holds the lease of epoch 2/east-2)
16000
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:5 lease HELD
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
16000 east-1 has power again
16000 east-1 starts: both
16005 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
16052 east-1 ATTACHED: REJOINING -> STANDBY
20000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
20000 at rest
