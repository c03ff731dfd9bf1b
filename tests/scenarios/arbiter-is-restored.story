# An old copy of the arbiter's record is put back, from before the takeover: it is older than what the
# nodes know to have been granted, so nobody believes it until a person says what holds.
nodes east-1 east-2 west-1
arbiter witness
quiet act
run 1000
arbiter 1 backup
promote east-2
run 9000
show
arbiter 1 restore
run 4000
show
choose east-2 1 adopt
run 3000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 1000 east-2 BEGIN: STANDBY -> CANDIDATE
 1000 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 1004 east-2 promo ANSWER west-1: ASKING -> ARMING
      ARM remake
 1013 east-2 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE west-1
 1049 east-2 promo PREPARED west-1: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/east-2
 1051 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
 1054 east-2 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 1057 east-1 CAPTURED: DRAINING -> FENCED
      WRITES_HOLD
      DEACTIVATE
 1057 east-1 lease CLOSE: HELD -> RELEASING (gave up; the lease is released when nothing acts here any more)
 1057 west-1 CAPTURED: STANDBY -> FENCED
 1059 east-2 promo CAPTURED east-1: CAPTURING -> OPENING
      OPEN epoch 2/east-2
 1061 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 1061 east-2 OPENED: CANDIDATE -> CLOSED
 1061 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
 1066 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
      RELEASE east-1
 1066 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1068 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1068 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1083 east-1 ATTACHED: REJOINING -> STANDBY
 1083 west-1 ATTACHED: REJOINING -> STANDBY
 1084 east-1 lease REPLY DONE: RELEASING -> IDLE (nothing to hold here)
 1086 east-2 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 1094 east-2 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 2/east-2)
10000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
10000 arbiter 1 has an older copy put back
10098 east-2 lease CONFIRM: HELD -> FAILSAFE (the arbiter is not heard (the arbiter has forgotten an epoch that it had granted), and all members follow epoch 2/east-2)
14000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts lease FAILSAFE
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
14000 east-2 is told to use arbiter 1, whatever it says
14017 east-2 lease REPLY GRANTED: FAILSAFE -> HELD (holds the lease of epoch 2/east-2)
17000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
17000 at rest
