# A tells the arbiter that it goes on alone, and acknowledges write 1; then it stops, before its log says so. The arbiter is gone. B
# is promoted by every voter's promise, with the set of the log, and dies when it has its first row. The arbiter is there again, and
# has the note; a, which is promoted by it, knows nothing of b's row. It asks b to acknowledge all the same: by b's log that
# note is over, and b alone could be promoted.
nodes a b
arbiter witness
available 300
takeover manual manual
quiet act
run 2000
hold a b
write a
run 950
crash a
arbiter 1 off
start a
run 100
release a b
promote b
hold b a
run 2015
crash b
run 500
show
arbiter 1 on
promote a
run 500
write a
run 1000
show
start b
run 6000
rest
----
  437 a records the sync set: only k=1 of 0x3
  937 a records the sync set: only k=1 of 0x3
  954 a lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/a)
 2937 a tells the arbiter: note 1, goes on with k=0 of 0x1
 2941 a names k=0 of 0x1
 2944 write 1: acknowledged
 2950 a crashes: both
 2950 arbiter 1 is down
 2950 a starts: both
 2955 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
 2955 a lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/a)
 3050 b BEGIN: STANDBY -> CANDIDATE
 3050 b promo ORDER: IDLE -> ASKING
      ASK a
      ASK_ARBITER
 3950 a TICK: FENCED -> FENCED
      WANT epoch 1/a
 3954 a HEARD: FENCED -> FENCED
      WANT epoch 1/a
 4050 b promo TOLD not ok: ASKING -> CAPTURING
      PROMISE epoch 2/b
      CAPTURE a epoch 2/b
      CAPTURE b epoch 2/b
 4053 a lease CLOSE: WANTED -> IDLE (nothing to hold here)
 5050 b promo PROMISED not ok: CAPTURING -> ARMING
      DETACH
      ARM remake
 5056 b promo ARMED: ARMING -> OPENING
      OPEN epoch 2/b
 5058 b lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/b)
 5058 b OPENED: CANDIDATE -> CLOSED
 5058 b promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/b
      FOLLOW a epoch 2/b
 5060 a HEARD: FENCED -> REJOINING
      ATTACH b epoch 2/b
 5065 b crashes: both
 5071 a ATTACHED not ok, connection refused: REJOINING -> FENCED
 5565
      a FENCED epoch 1/a promised 2/b log 1/a:7 lease IDLE
      b (daemon down) (database down) epoch 2/b promised 2/b log 2/b:8 lease WANTED
 5565 arbiter 1 starts
 5565 a BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 5565 a promo ORDER: IDLE -> ASKING
      ASK b
      ASK_ARBITER
 5569 a promo TOLD: ASKING -> CAPTURING
      PROMISE epoch 3/a
      CAPTURE a epoch 3/a
      CAPTURE b epoch 3/a
 5573 a promo PROMISED: CAPTURING -> ARMING
      DETACH
      ARM remake
 5579 a promo ARMED: ARMING -> OPENING
      OPEN epoch 3/a
 5581 a lease WANT: IDLE -> WANTED (asking for the lease of epoch 3/a)
 5581 a OPENED: CANDIDATE -> CLOSED
 5581 a promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/a
      FOLLOW b epoch 3/a
 5593 a lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 3/a; who acted before has not said that he stopped)
 5950 a tells the arbiter: note 2, goes on with k=0 of 0x1
 5954 a names k=0 of 0x1
 5957 a promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 5957 a ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 6068 write 2: acknowledged
 6450 a records the sync set: only k=0 of 0x1, fewer than were promised
 7065
      a PRIMARY epoch 3/a promised 3/a log 3/a:11 lease WAITING
      b (daemon down) (database down) epoch 2/b promised 2/b log 2/b:8 lease WANTED
 7065 b starts: both
 7070 b HEARD: FENCED -> REJOINING
      ATTACH a epoch 3/a
 7083 b sets 1 rows aside, above revision 7
 7126 b ATTACHED: REJOINING -> STANDBY
 7450 a records the sync set: both, old and k=1 of 0x3, fewer than were promised
 7597 a lease CONFIRM: WAITING -> HELD (holds the lease of epoch 3/a)
 7950 a names k=1 of 0x3
 8450 a records the sync set: both, acknowledged by k=1 of 0x3, fewer than were promised
 8950 a records the sync set: only k=1 of 0x3
 9950 a tells the arbiter: note 3, as promised again k=0 of 0x0
13065 at rest
