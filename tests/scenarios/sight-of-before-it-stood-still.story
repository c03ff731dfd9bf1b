# Batond and PostgreSQL of the primary end, and the other one sees them refuse; then it stands still itself.
# When it goes on the primary is back, has its lease, and is behind a cut. What was refused before says nothing of
# now, and the time in which nobody looked does not count: it waits until the lease is over.
nodes east-1 east-2
arbiter witness
lease 9000 1000
quiet act write
run 2000
crash east-1
run 1300
stop east-2
run 200
start east-1
run 3500
cut east-1 east-2
continue east-2
run 2500
show
heal
run 4000
rest
----
  954 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 crashes: both
 3300 east-2 stands still: both
 3500 east-1 starts: both
 7000 east-2 goes on: both
 9500
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:4 lease IDLE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
 9775 east-1 HEARD: FENCED -> FENCED
      WANT epoch 1/east-1
 9775 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
 9783 east-1 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/east-1)
 9783 east-1 TICK: FENCED -> FENCED
      RESUME
 9783 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 9783 east-1 promo ORDER: IDLE -> ARMING
      ARM
 9789 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 9791 east-1 OPENED: CANDIDATE -> CLOSED
 9791 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
 9796 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 9796 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
10000 east-2 TICK: STANDBY -> REJOINING
      ATTACH east-1 epoch 1/east-1
10015 east-2 ATTACHED: REJOINING -> STANDBY
13500 at rest
