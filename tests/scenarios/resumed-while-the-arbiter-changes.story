# As in note-of-who-is-not-asked-yet: arbiter 2 has a note of when {a, b} counted. a has written the row that chooses it, no record
# names it, and a is started anew, without c, d and e. By that note b's word and acknowledgement would do; but c, d and e would ask
# arbiter 1, who knows of no such note. By a's log two have to confirm: it waits for them.
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
hold a c
hold a d
hold a e
choose a 2 adopt
run 1000
crash a
cut a c
cut a d
cut a e
run 100
start a
run 3000
show
heal
release a c
release a d
release a e
run 9000
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
16603 a crashes: both
16703 a starts: both
19703
      a FENCED epoch 1/a promised 1/a log 1/a:16 lease IDLE
      b STANDBY epoch - promised 1/a log 1/a:16 follows a lease IDLE
      c STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
      d STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
      e STANDBY epoch - promised 1/a log 1/a:15 follows a lease IDLE
19966 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
19966 a lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/a)
19966 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
19966 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
19974 a lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/a)
19974 a TICK: FENCED -> FENCED
      RESUME
19974 a BEGIN: FENCED -> CANDIDATE
      ATTACH_END
19974 a promo ORDER: IDLE -> ARMING
      ARM
19989 a promo ARMED: ARMING -> OPENING
      OPEN epoch 1/a resume
19991 a OPENED: CANDIDATE -> CLOSED
19991 a promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/a
      FOLLOW b epoch 1/a
      FOLLOW c epoch 1/a
      FOLLOW d epoch 1/a
      FOLLOW e epoch 1/a
19996 a promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
19996 a ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
20203 a records the sync set: only k=2 of 0x1f
20703 a records the sync set: only k=2 of 0x1f
21703 a tells the arbiter: note 3, as promised again k=0 of 0x0
28703
      a PRIMARY epoch 1/a promised 1/a log 1/a:19 acts lease HELD
      b STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
      c STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
      d STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
      e STANDBY epoch - promised 1/a log 1/a:19 follows a lease IDLE
28703 at rest
