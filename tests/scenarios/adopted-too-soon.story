# East-2 is promoted while east-1, cut off from all, still believes in its lease; then west-1 is lost, and east-2
# goes on alone, after it has told the arbiter. East-1 hears the arbiter again, and a person, who knows nothing of
# that, has its record made anew there. That it was told of east-2 stays: west-1 must not be promoted, for
# it lacks what east-2 has acknowledged alone.
nodes east-1 east-2 west-1
arbiter witness
takeover manual manual
available 1000
quiet act node
run 2100
cut east-1 east-2
cut east-1 west-1
arbiter 1 cut east-1
arbiter 1 revoke
promote east-2
run 2400
power-off west-1
write east-2
run 1600
arbiter 1 join east-1
choose east-1 1 adopt
run 1000
power-off east-2
power-on west-1
heal
run 2000
promote west-1
run 1500
show
power-on east-2
run 9000
rest
----
  434 east-1 records the sync set: only k=1 of 0x7
  934 east-1 records the sync set: only k=1 of 0x7
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2100 arbiter 1 lets the lease end too early
 2100 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
      ASK_ARBITER
 3100 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      PROMISE epoch 2/east-2
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 3105 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 3114 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 3116 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 3116 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 3124 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
 3138 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 4500 west-1 crashes: both
 5934 east-2 tells the arbiter: note 1, goes on with k=0 of 0x2
 5938 east-2 names k=0 of 0x2
 5941 write 1: acknowledged
 6100 east-1 is told to use arbiter 1, whatever it says
 6434 east-2 records the sync set: only k=0 of 0x2, fewer than were promised
 6443 east-1 lease TICK: HELD -> LOST (the lease was not renewed in time: the arbiter did not answer in time)
 6444 east-1 lease CLOSE: LOST -> IDLE (nothing to hold here)
 7100 east-2 crashes: both
 7100 west-1 has power again
 7100 west-1 starts: both
 9100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK_ARBITER
10100 west-1 promo ANSWER east-2 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': since then a write is acknowledged when the primary alone has it, and it does not answer
10600
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:7 lease IDLE
      east-2 (daemon down) (database down) epoch 2/east-2 promised 2/east-2 log 2/east-2:10 lease WAITING
      west-1 FENCED epoch - promised 2/east-2 log 2/east-2:8 lease IDLE
10600 east-2 has power again
10600 east-2 starts: both
10601 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
10609 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
10609 east-2 promo ORDER: IDLE -> ARMING
      ARM
10618 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2 resume
10620 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
10621 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
10635 east-1 sets 1 rows aside, above revision 6
11100 east-2 records the sync set: both, old and k=1 of 0x7, fewer than were promised
11600 east-2 names k=1 of 0x7
11613 east-2 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 2/east-2)
12100 east-2 records the sync set: both, acknowledged by k=1 of 0x7, fewer than were promised
12600 east-2 records the sync set: only k=1 of 0x7
14100 east-2 tells the arbiter: note 2, as promised again k=0 of 0x0
19600 at rest
