# East-1's PostgreSQL restarts, and its daemon goes on under epoch 1. The arbiter is silent by then, and not all
# members are there to say that they follow: the lease ends while the database stands still over OPEN. What fences it
# comes after OPEN, so it takes the epoch and then no row: the promotion ends, and another one begins.
nodes east-1 east-2 west-1
arbiter witness
takeover manual manual
quiet act write
run 2000
arbiter 1 off
power-off west-1
run 2300
on east-1 OPENING stop east-1 database
crash east-1 database
start east-1 database
run 2200
continue east-1 database
run 400
arbiter 1 on
power-on west-1
run 8000
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 arbiter 1 is down
 2000 west-1 crashes: both
 4300 east-1 crashes: database
 4300 east-1 starts: database
 4321 east-1 START: PRIMARY -> FENCED
      WRITES_CLOSE
      RESUME
 4321 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 4321 east-1 promo ORDER: DONE -> ARMING
      ARM
 4330 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 4330 east-1 stands still: database
 6443 east-1 lease TICK: HELD -> LOST (the lease was not renewed in time: the arbiter did not answer in time)
 6500 east-1 goes on: database
 6501 east-1 lease WANT: LOST -> WANTED (asking for the lease of epoch 1/east-1)
 6501 east-1 OPENED: CANDIDATE -> CLOSED
 6501 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 6502 east-1 promo ACKNOWLEDGED not ok: ACKNOWLEDGING -> FAILED
      FINISHED
      because: this node's database took the epoch, and then not its first row: refused
 6502 east-1 FAILED: CLOSED -> FENCED
      FENCE_DATABASE
      DEACTIVATE
 6505 east-1 lease CLOSE: WANTED -> IDLE (nothing to hold here)
 6900 arbiter 1 starts
 6900 west-1 has power again
 6900 west-1 starts: both
 7002 east-1 TICK: FENCED -> FENCED
      WANT epoch 1/east-1
 7002 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
 7010 east-1 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/east-1)
 7010 east-1 TICK: FENCED -> FENCED
      RESUME
 7010 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 7010 east-1 promo ORDER: FAILED -> ARMING
      ARM
 7019 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 7021 east-1 OPENED: CANDIDATE -> CLOSED
 7021 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 7023 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 7026 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 7026 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 7038 west-1 ATTACHED: REJOINING -> STANDBY
14900 at rest
