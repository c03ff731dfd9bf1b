# Arbiter 2 is chosen, and learns of note 2 and who counts, {a, b}; a ends before the row is written. All five have come to count,
# two acknowledgements for a write, when it is chosen again: it has that note still. b has the row, c, d and e have not, and would
# ask arbiter 1. All voters answer b, so it may be promoted; with the set of that note it would go on with a's acknowledgement
# alone, and c, d and e could be promoted without what it wrote. It goes on with the set of its log.
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
on b ARMING cut b c
on b ARMING cut b d
on b ARMING cut b e
promote b override freeze
run 300
write b
run 100
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
16603 b BEGIN: STANDBY -> CANDIDATE
16603 b promo ORDER: IDLE -> ASKING
      ASK a
      ASK c
      ASK d
      ASK e
      ASK_ARBITER
16607 b promo TOLD: ASKING -> CAPTURING
      PROMISE epoch 2/b
      CAPTURE a epoch 2/b
      CAPTURE b epoch 2/b
      CAPTURE c epoch 2/b
      CAPTURE d epoch 2/b
      CAPTURE e epoch 2/b
16610 a CAPTURED: PRIMARY -> FENCED
      WRITES_HOLD
      DEACTIVATE
16610 a lease CLOSE: FAILSAFE -> RELEASING (gave up; the lease is released when nothing acts here any more)
16610 c CAPTURED: STANDBY -> FENCED
16610 d CAPTURED: STANDBY -> FENCED
16610 e CAPTURED: STANDBY -> FENCED
16612 b promo CAPTURED e: CAPTURING -> ARMING
      DETACH
      ARM remake
16627 b promo ARMED: ARMING -> OPENING
      OPEN epoch 2/b
16629 b lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/b)
16629 b OPENED: CANDIDATE -> CLOSED
16629 b promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/b
      FOLLOW a epoch 2/b
      FOLLOW c epoch 2/b
      FOLLOW d epoch 2/b
      FOLLOW e epoch 2/b
16631 a HEARD: FENCED -> REJOINING
      ATTACH b epoch 2/b
16638 a lease REPLY DONE: RELEASING -> IDLE (nothing to hold here)
16671 a ATTACHED: REJOINING -> STANDBY
17003
      a STANDBY epoch 1/a promised 2/b log 2/b:17 follows b lease IDLE
      b CLOSED epoch 2/b promised 2/b log 1/a:16 lease WANTED
      c FENCED epoch - promised 2/b log 1/a:15 lease IDLE
      d FENCED epoch - promised 2/b log 1/a:15 lease IDLE
      e FENCED epoch - promised 2/b log 1/a:15 lease IDLE
17641 b lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/b; who acted before has not said that he stopped)
17936 c HEARD: FENCED -> REJOINING
      ATTACH b epoch 2/b
17936 d HEARD: FENCED -> REJOINING
      ATTACH b epoch 2/b
17936 e HEARD: FENCED -> REJOINING
      ATTACH b epoch 2/b
17963 b promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      RELEASE a
17963 b ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
17967 b lease PROVED: WAITING -> HELD (holds the lease of epoch 2/b)
17967 b promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
17968 write 2: acknowledged
17983 c ATTACHED: REJOINING -> STANDBY
17983 d ATTACHED: REJOINING -> STANDBY
17983 e ATTACHED: REJOINING -> STANDBY
18428 b records the sync set: only k=2 of 0x1f
18928 b records the sync set: only k=2 of 0x1f
20428 b tells the arbiter: note 3, as promised again k=0 of 0x0
26003
      a STANDBY epoch 1/a promised 2/b log 2/b:21 follows b lease IDLE
      b PRIMARY epoch 2/b promised 2/b log 2/b:21 acts lease HELD
      c STANDBY epoch - promised 2/b log 2/b:21 follows b lease IDLE
      d STANDBY epoch - promised 2/b log 2/b:21 follows b lease IDLE
      e STANDBY epoch - promised 2/b log 2/b:21 follows b lease IDLE
26003 at rest
