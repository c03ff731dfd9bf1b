# East-1's database stands still over its restart, and its daemon gives the lease back; whether the arbiter has
# heard that nobody knows, for it is gone as well. All members follow: east-1 goes on by their word. When the
# arbiter is there again it will never grant what was given back: east-1 takes a later epoch.
nodes east-1 east-2 west-1
arbiter witness
takeover manual manual
available 60000
quiet act write
run 2000
on east-1 OPENING stop east-1 database
crash east-1 database
start east-1 database
run 3200
arbiter 1 off
continue east-1 database
run 8400
show
arbiter 1 on
run 12000
rest
----
  434 east-1 records the sync set: only k=1 of 0x7
  934 east-1 records the sync set: only k=1 of 0x7
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 crashes: database
 2000 east-1 starts: database
 2021 east-1 START: PRIMARY -> FENCED
      WRITES_CLOSE
      RESUME
 2021 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 2021 east-1 promo ORDER: DONE -> ARMING
      ARM
 2030 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 2030 east-1 stands still: database
 5030 east-1 promo TIMEOUT: OPENING -> FAILED
      FINISHED
      because: OPENING took longer than 3000 ms
 5030 east-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 5200 arbiter 1 is down
 5200 east-1 goes on: database
 5205 east-1 lease CLOSE: HELD -> RELEASING (gave up; the lease is released when nothing acts here any more)
 5530 east-1 TICK: FENCED -> FENCED
      RENEW
 5530 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 5530 east-1 promo ORDER: FAILED -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
 6530 east-1 promo TOLD not ok: ASKING -> FAILED
      FINISHED
      because: check 'arbiter': whether the old primary went on alone is not known: the arbiter does not say so
 6530 east-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 7030 east-1 TICK: FENCED -> FENCED
      RENEW
 7030 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 7030 east-1 promo ORDER: FAILED -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
 8030 east-1 promo TOLD not ok: ASKING -> FAILED
      FINISHED
      because: check 'arbiter': whether the old primary went on alone is not known: the arbiter does not say so
 8030 east-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 8530 east-1 TICK: FENCED -> FENCED
      RENEW
 8530 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 8530 east-1 promo ORDER: FAILED -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
 9530 east-1 promo TOLD not ok: ASKING -> FAILED
      FINISHED
      because: check 'arbiter': whether the old primary went on alone is not known: the arbiter does not say so
 9530 east-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
10030 east-1 TICK: FENCED -> FENCED
      RENEW
10030 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
10030 east-1 promo ORDER: FAILED -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
10205 east-1 lease TICK: RELEASING -> IDLE (nothing to hold here)
11030 east-1 promo TOLD not ok: ASKING -> FAILED
      FINISHED
      because: check 'arbiter': whether the old primary went on alone is not known: the arbiter does not say so
11030 east-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
11530 east-1 TICK: FENCED -> FENCED
      WANT epoch 1/east-1
11530 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
11534 east-1 lease CONFIRM: WANTED -> FAILSAFE (the arbiter is not heard (the arbiter did not answer in time), and all members follow epoch 1/east-1)
11534 east-1 TICK: FENCED -> FENCED
      RESUME
11534 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
11534 east-1 promo ORDER: FAILED -> ARMING
      ARM
11543 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
11545 east-1 OPENED: CANDIDATE -> CLOSED
11545 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
11550 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
11550 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
13600
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:7 acts lease FAILSAFE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:7 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:7 follows east-1 lease IDLE
13600 arbiter 1 starts
19691 east-1 TICK: PRIMARY -> PRIMARY
      RENEW
19691 east-1 BEGIN: PRIMARY -> CANDIDATE
      WRITES_HOLD
19691 east-1 promo ORDER: DONE -> ASKING
      ASK east-2
      ASK west-1
      ASK_ARBITER
19695 east-1 promo TOLD: ASKING -> CAPTURING
      PROMISE epoch 2/east-1
      CAPTURE east-1 epoch 2/east-1
      CAPTURE east-2 epoch 2/east-1
      CAPTURE west-1 epoch 2/east-1
19698 east-2 CAPTURED: STANDBY -> FENCED
19698 west-1 CAPTURED: STANDBY -> FENCED
19700 east-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM
19709 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-1
19711 east-1 lease WANT: FAILSAFE -> WANTED (asking for the lease of epoch 2/east-1)
19711 east-1 OPENED: CANDIDATE -> CLOSED
19711 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-1
      FOLLOW east-2 epoch 2/east-1
      FOLLOW west-1 epoch 2/east-1
19713 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 2/east-1
19713 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 2/east-1
19716 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
19716 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
19719 east-1 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 2/east-1)
19728 east-2 ATTACHED: REJOINING -> STANDBY
19728 west-1 ATTACHED: REJOINING -> STANDBY
25600 at rest
