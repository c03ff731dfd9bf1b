# East-2 is promoted, and the arbiter loses its record before the lease of east-1, which died, is over. East-2 changes the sync set; west-1
# has east-1 promise a later epoch, and dies. Nobody acknowledges for east-2: the change does not end; nor does a renewal begin,
# for the arbiter does not say whether somebody went on alone. Nothing was ever given up, so that a person can choose the
# arbiter anew all the same; then east-2 takes a later epoch.
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
run 300
arbiter 1 wipe
want 2 east-1 east-2 west-1
run 150
hold east-2 west-1
write east-2
run 50
cut east-2 west-1 https
on west-1 CATCHING_UP crash west-1
promote west-1 override freeze override arbiter override acks
run 4000
heal
release east-2 west-1
run 3000
start west-1
run 4000
show
choose east-2 1 adopt
run 16000
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
 3800 arbiter 1 loses its record
 3930 east-2 records the sync set: both, old and k=2 of 0x7
 3957 write 1: acknowledged
 4000 west-1 BEGIN: STANDBY -> CANDIDATE
 4000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK_ARBITER
 4430 east-2 names k=2 of 0x7
 4930 east-2 records the sync set: both, acknowledged by k=2 of 0x7
 5000 west-1 promo ANSWER east-2 not ok: ASKING -> CAPTURING
      PROMISE epoch 3/west-1
      CAPTURE east-1 epoch 3/west-1
      CAPTURE east-2 epoch 3/west-1
      CAPTURE west-1 epoch 3/west-1
 5003 east-1 CAPTURED: STANDBY -> FENCED
 5005 west-1 promo CAPTURED east-1: CAPTURING -> CATCHING_UP
      PULL east-1
 5005 west-1 crashes: both
11000 west-1 starts: both
12930 east-2 TICK: PRIMARY -> PRIMARY
      RENEW
12930 east-2 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
12930 east-2 promo ORDER: DONE -> ASKING
      ASK east-1
      ASK west-1
      ASK_ARBITER
12934 east-2 promo TOLD not ok: ASKING -> FAILED
      FINISHED
      because: check 'arbiter': whether the old primary went on alone is not known: the arbiter does not say so
12934 east-2 FAILED: CANDIDATE -> PRIMARY
      WRITES_OPEN
15000
      east-1 FENCED epoch 1/east-1 promised 3/west-1 log 2/east-2:11 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:10 lease WANTED
      west-1 FENCED epoch - promised 3/west-1 log 2/east-2:9 lease IDLE
15000 east-2 is told to use arbiter 1, whatever it says
18930 east-2 TICK: PRIMARY -> PRIMARY
      RENEW
18930 east-2 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
18930 east-2 promo ORDER: FAILED -> ASKING
      ASK east-1
      ASK west-1
      ASK_ARBITER
18934 east-2 promo TOLD: ASKING -> CAPTURING
      PROMISE epoch 4/east-2
      CAPTURE east-1 epoch 4/east-2
      CAPTURE east-2 epoch 4/east-2
      CAPTURE west-1 epoch 4/east-2
18942 east-2 promo PROMISED: CAPTURING -> ARMING
      DETACH
      ARM
18948 east-2 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 2/east-2)
18951 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 4/east-2
18953 east-2 lease WANT: HELD -> WANTED (asking for the lease of epoch 4/east-2)
18953 east-2 OPENED: CANDIDATE -> CLOSED
18953 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 4/east-2
      FOLLOW east-1 epoch 4/east-2
      FOLLOW west-1 epoch 4/east-2
18955 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 4/east-2
18955 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 4/east-2
18970 east-1 ATTACHED: REJOINING -> STANDBY
19014 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
19014 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
19027 west-1 ATTACHED: REJOINING -> STANDBY
19430 east-2 records the sync set: only k=2 of 0x7
23960 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 4/east-2; who acted before has not said that he stopped)
23964 east-2 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 4/east-2)
31000 at rest
