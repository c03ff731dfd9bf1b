# The arbiter loses its record: that is an alarm, not a free seat. The primary goes on by its members'
# word; when it is lost, nobody takes over. A person promotes, and says what holds.
nodes east-1 east-2 west-1
arbiter etcd
quiet act
run 2000
arbiter 1 wipe
run 6000
show
power-off east-1
run 12000
show
promote east-2
run 3000
choose east-2 1 adopt
run 5000
power-on east-1
run 5000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 arbiter 1 loses its record
 2947 east-1 lease CONFIRM: HELD -> FAILSAFE (the arbiter is not heard (the arbiter has no record of this cluster), and all members follow epoch 1/east-1)
 8000
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:4 acts lease FAILSAFE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
 8000 east-1 crashes: both
20000
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:4 lease FAILSAFE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
20000 east-2 BEGIN: STANDBY -> CANDIDATE
20000 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
21000 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
21003 west-1 CAPTURED: STANDBY -> FENCED
21005 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
21014 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
21016 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
21016 east-2 OPENED: CANDIDATE -> CLOSED
21016 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
21018 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
21038 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
21038 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
21058 west-1 ATTACHED: REJOINING -> STANDBY
23000 east-2 is told to use arbiter 1, whatever it says
23025 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
28000 east-1 has power again
28000 east-1 starts: both
28005 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
28025 east-2 lease TICK: WAITING -> HELD (holds the lease of epoch 2/east-2)
28052 east-1 ATTACHED: REJOINING -> STANDBY
33000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
33000 at rest
