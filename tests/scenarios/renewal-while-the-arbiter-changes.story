# East-1 turns to another arbiter. East-2 has acknowledged the row that says so, and the record that names it is not yet written when
# west-1, which has neither, has east-2 promise a later epoch, and dies. Now nobody acknowledges for east-1, and from its log it
# does not follow which arbiter somebody would have told that he goes on alone. Once west-1 is back every voter answers: so
# does whoever could have gone on, and east-1 takes a later epoch without a person.
nodes east-1 east-2 west-1
arbiter witness witness
available 60000
takeover manual manual
quiet act
run 2000
hold east-1 west-1
choose east-1 2
run 24
hold east-1 east-2
cut east-1 west-1 https
on west-1 CATCHING_UP crash west-1
promote west-1 override freeze
run 14000
heal
release east-1 east-2
release east-1 west-1
start west-1
run 8000
show
rest
----
  434 east-1 records the sync set: only k=1 of 0x7
  934 east-1 records the sync set: only k=1 of 0x7
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 is told to use arbiter 2
 2004 east-1 lease CONFIRM: HELD -> FAILSAFE (the arbiter is not heard (it is being changed), and all members follow epoch 1/east-1)
 2017 east-1 lease REPLY GRANTED: FAILSAFE -> HELD (holds the lease of epoch 1/east-1)
 2024 west-1 BEGIN: STANDBY -> CANDIDATE
 2024 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK_ARBITER
 2434 east-1 records the sync set: only k=1 of 0x7
 3024 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      PROMISE epoch 2/west-1
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 3027 east-2 CAPTURED: STANDBY -> FENCED
 3029 west-1 promo CAPTURED east-2: CAPTURING -> CATCHING_UP
      PULL east-2
 3029 west-1 crashes: both
10934 east-1 TICK: PRIMARY -> PRIMARY
      RENEW
10934 east-1 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
10934 east-1 promo ORDER: DONE -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
11934 east-1 promo ANSWER west-1 not ok: ASKING -> FAILED
      FINISHED
      because: check 'arbiter': the arbiter was just being changed when east-1 was last heard of: who went on alone may have told the one before
11934 east-1 FAILED: CANDIDATE -> PRIMARY
      WRITES_OPEN
16024 west-1 starts: both
16934 east-1 TICK: PRIMARY -> PRIMARY
      RENEW
16934 east-1 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
16934 east-1 promo ORDER: FAILED -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
16938 east-1 promo TOLD: ASKING -> CAPTURING
      PROMISE epoch 3/east-1
      CAPTURE east-1 epoch 3/east-1
      CAPTURE east-2 epoch 3/east-1
      CAPTURE west-1 epoch 3/east-1
16943 east-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM
16952 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/east-1
16954 east-1 lease WANT: HELD -> WANTED (asking for the lease of epoch 3/east-1)
16954 east-1 OPENED: CANDIDATE -> CLOSED
16954 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/east-1
      FOLLOW east-2 epoch 3/east-1
      FOLLOW west-1 epoch 3/east-1
16956 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
16956 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
16978 east-2 ATTACHED: REJOINING -> STANDBY
16979 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
16979 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
17028 west-1 ATTACHED: REJOINING -> STANDBY
17434 east-1 records the sync set: only k=1 of 0x7
21032 east-1 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 3/east-1; who acted before has not said that he stopped)
21036 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 3/east-1)
24024
      east-1 PRIMARY epoch 3/east-1 promised 3/east-1 log 3/east-1:11 acts lease HELD
      east-2 STANDBY epoch - promised 3/east-1 log 3/east-1:11 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 3/east-1 log 3/east-1:11 follows east-1 lease IDLE
24024 at rest
