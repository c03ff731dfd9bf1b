# As in note-of-who-is-not-asked-yet: arbiter 2 has a note of when {a, b} counted. a and c have the row that chooses it; the record
# that names it waits, acknowledged by b alone, when arbiter 2 is heard. Its note is of a's epoch and names who is left: but d and e
# would ask arbiter 1. Nothing is given up before that record was acknowledged (D2 of sites/degrade.h).
nodes a b c d e
arbiter witness witness
voters a b
available 500
takeover manual manual
quiet act
run 2000
hold a b
write a
run 1500
release a b
run 5000
choose a 2
run 3
crash a daemon
run 100
start a daemon
run 3000
want 2 a b c d e
run 4000
hold a d
hold a e
choose a 2 adopt
run 5
arbiter 2 stop
run 60
hold a c
run 1000
show
arbiter 2 continue
run 2000
show
write a
run 100
release a c
release a d
release a e
run 4000
show
rest
----
  428 a records the sync set: only k=1 of 0x3
  928 a records the sync set: only k=1 of 0x3
  945 a lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/a)
 2928 a tells the arbiter: note 1, goes on with k=0 of 0x1
 2932 a names k=0 of 0x1
 2935 write 1: acknowledged
 3428 a records the sync set: only k=0 of 0x1, fewer than were promised
 3928 a records the sync set: both, old and k=1 of 0x3, fewer than were promised
 4428 a names k=1 of 0x3
 4928 a records the sync set: both, acknowledged by k=1 of 0x3, fewer than were promised
 5428 a records the sync set: only k=1 of 0x3
 6428 a tells the arbiter: note 2, as promised again k=0 of 0x0
 8500 a is told to use arbiter 2
 8503 a crashes: daemon
 8603 a starts: daemon
 8608 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
 8608 a lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/a)
 8608 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
 8608 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
 8608 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
 8616 a lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/a)
 8616 a TICK: FENCED -> FENCED
      RESUME
 8616 a BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 8616 a promo ORDER: IDLE -> ARMING
      ARM
 8631 a promo ARMED: ARMING -> OPENING
      OPEN epoch 1/a resume
 8633 a OPENED: CANDIDATE -> CLOSED
 8633 a promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/a
      FOLLOW b epoch 1/a
      FOLLOW c epoch 1/a
      FOLLOW d epoch 1/a
      FOLLOW e epoch 1/a
 8638 a promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 8638 a ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
12103 a records the sync set: both, old and k=2 of 0x1f
12603 a names k=2 of 0x1f
13103 a records the sync set: both, acknowledged by k=2 of 0x1f
13603 a records the sync set: only k=2 of 0x1f
15603 a is told to use arbiter 2, whatever it says
15607 a lease CONFIRM: HELD -> FAILSAFE (the arbiter is not heard (it is being changed), and all members follow epoch 1/a)
15608 arbiter 2 stands still
16103 a records the sync set: only k=2 of 0x1f
16668
      a PRIMARY epoch 1/a promised 1/a log 1/a:16 acts lease FAILSAFE
      b STANDBY epoch - promised 1/a log 1/a:17 follows a lease IDLE
      c STANDBY epoch - promised 1/a log 1/a:16 follows a lease IDLE
      d STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
      e STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
16668 arbiter 2 goes on
16674 a lease REPLY GRANTED: FAILSAFE -> HELD (holds the lease of epoch 1/a)
18668
      a PRIMARY epoch 1/a promised 1/a log 1/a:16 acts lease HELD
      b STANDBY epoch - promised 1/a log 1/a:17 follows a lease IDLE
      c STANDBY epoch - promised 1/a log 1/a:16 follows a lease IDLE
      d STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
      e STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
18813 write 2: acknowledged
19103 a records the sync set: only k=2 of 0x1f
20103 a tells the arbiter: note 3, as promised again k=0 of 0x0
22768
      a PRIMARY epoch 1/a promised 1/a log 1/a:19 acts lease HELD
      b STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
      c STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
      d STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
      e STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
22768 at rest
