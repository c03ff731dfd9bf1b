# East-2 is promoted, and the arbiter loses its record before the lease of east-1, which died, is over. Then west-1 has east-1
# promise a later epoch, and dies. Nobody acknowledges for east-2: not the choice of an arbiter either; and what the arbiter
# has forgotten, whether somebody went on alone, it does not say. Once west-1 is back every voter answers: so does
# whoever could have gone on, and east-2 takes a later epoch without a person; who then tells the arbiter what holds.
nodes east-1 east-2 west-1
arbiter etcd
available 60000
takeover manual manual
quiet act
run 2000
crash east-1
promote east-2
run 1500
start east-1
run 100
arbiter 1 wipe
hold east-2 west-1
write east-2
run 100
cut east-2 west-1 https
on west-1 CATCHING_UP crash west-1
promote west-1 override freeze override arbiter
run 4000
heal
release east-2 west-1
run 3000
start west-1
run 3000
choose east-2 1 adopt
run 5000
show
rest
----
  430 east-1 records the sync set: only k=1 of 0x7
  930 east-1 records the sync set: only k=1 of 0x7
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 crashes: both
 2000 east-2 BEGIN: STANDBY -> CANDIDATE
 2000 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
      ASK_ARBITER
 2004 east-2 promo TOLD: ASKING -> CAPTURING
      PROMISE epoch 2/east-2
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 2007 west-1 CAPTURED: STANDBY -> FENCED
 2012 east-2 promo PROMISED: CAPTURING -> ARMING
      DETACH
      ARM remake
 2021 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 2023 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 2023 east-2 OPENED: CANDIDATE -> CLOSED
 2023 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 2025 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 2045 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2045 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2065 west-1 ATTACHED: REJOINING -> STANDBY
 3500 east-1 starts: both
 3505 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 3552 east-1 ATTACHED: REJOINING -> STANDBY
 3600 arbiter 1 loses its record
 3607 write 1: acknowledged
 3700 west-1 BEGIN: STANDBY -> CANDIDATE
 3700 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK_ARBITER
 4700 west-1 promo ANSWER east-2 not ok: ASKING -> CAPTURING
      PROMISE epoch 3/west-1
      CAPTURE east-1 epoch 3/west-1
      CAPTURE east-2 epoch 3/west-1
      CAPTURE west-1 epoch 3/west-1
 4703 east-1 CAPTURED: STANDBY -> FENCED
 4705 west-1 promo CAPTURED east-1: CAPTURING -> CATCHING_UP
      PULL east-1
 4705 west-1 crashes: both
10700 west-1 starts: both
11930 east-2 TICK: PRIMARY -> PRIMARY
      RENEW
11930 east-2 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
11930 east-2 promo ORDER: DONE -> ASKING
      ASK east-1
      ASK west-1
      ASK_ARBITER
11934 east-2 promo TOLD not ok: ASKING -> CAPTURING
      PROMISE epoch 4/east-2
      CAPTURE east-1 epoch 4/east-2
      CAPTURE east-2 epoch 4/east-2
      CAPTURE west-1 epoch 4/east-2
11939 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM
11948 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 4/east-2
11950 east-2 OPENED: CANDIDATE -> CLOSED
11950 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 4/east-2
      FOLLOW east-1 epoch 4/east-2
      FOLLOW west-1 epoch 4/east-2
11952 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 4/east-2
11952 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 4/east-2
11955 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
11955 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
11967 east-1 ATTACHED: REJOINING -> STANDBY
12024 west-1 ATTACHED: REJOINING -> STANDBY
12954 east-2 lease CONFIRM: WANTED -> FAILSAFE (the arbiter is not heard (the arbiter has no record of this cluster), and all members follow epoch 4/east-2)
13700 east-2 is told to use arbiter 1, whatever it says
13725 east-2 lease REPLY GRANTED: FAILSAFE -> HELD (holds the lease of epoch 4/east-2)
13930 east-2 records the sync set: only k=1 of 0x7
14430 east-2 records the sync set: only k=1 of 0x7
18700
      east-1 STANDBY epoch 1/east-1 promised 4/east-2 log 4/east-2:14 follows east-2 lease IDLE
      east-2 PRIMARY epoch 4/east-2 promised 4/east-2 log 4/east-2:14 acts lease HELD
      west-1 STANDBY epoch - promised 4/east-2 log 4/east-2:14 follows east-2 lease IDLE
18700 at rest
