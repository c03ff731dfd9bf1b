# The sync set grows from {east-1, east-2} with k=0 to all three with k=1. While both sets count, west-1
# is a voter of only one of them: what it acknowledged as primary would be unknown to a capture of
# {east-1, east-2}. So it must wait for the change to end.
nodes east-1 east-2 west-1
voters east-1 east-2
k 0
quiet node
want 1 east-1 east-2 west-1
at 700 promote west-1
run 900
rest
run 2000
rest
promote west-1
run 1000
rest
----
  436 east-1 records the sync set: both, old and k=1 of 0x7
  700 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  704 west-1 promo ANSWER east-2: ASKING -> FAILED
      FINISHED
      because: check 'sync': the sync set is changing, and west-1 is not in both, the old and the new
  900 not at rest: the sync set is not as wanted
  936 east-1 names k=1 of 0x7
 1436 east-1 records the sync set: both, acknowledged by k=1 of 0x7
 1936 east-1 records the sync set: only k=1 of 0x7
 2900 at rest
 2900 west-1 promo ORDER: FAILED -> ASKING
      ASK east-1
      ASK east-2
 2904 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
 2913 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
 2949 west-1 promo PREPARED east-2: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
 2954 west-1 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2959 west-1 promo CAPTURED east-1: CAPTURING -> OPENING
      OPEN epoch 2/west-1
 2960 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
 2965 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
      RELEASE east-1
 2969 west-1 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
 3900 at rest
