# The sync set became {east-1, east-2, north-1} while west-1 was out of reach, so west-1 is no voter any
# more, and does not know. Its own log says that west-1 and west-2 are enough; the furthest member that it
# captures, north-1, tells it otherwise, and it stops. A voter of the new set takes over instead.
nodes east-1 east-2 north-1 west-1 west-2
voters east-1 west-1 west-2
k 1
quiet node
hold east-1 west-1
cut east-1 west-1
want 1 east-1 east-2 north-1
run 3000
write east-1
run 100
cut west-1 east-2
cut west-2 east-2
crash east-1
promote west-1
run 3000
show
promote north-1
run 3000
show
----
  437 east-1 records the sync set: both, old and k=1 of 0x7
  937 east-1 names k=1 of 0x7
 1437 east-1 records the sync set: both, acknowledged by k=1 of 0x7
 1937 east-1 records the sync set: only k=1 of 0x7
 3007 write 1: acknowledged
 3100 east-1 crashes: both
 3100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK north-1
      ASK west-2
 4100 west-1 promo ANSWER east-2 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE north-1 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
      CAPTURE west-2 epoch 2/west-1
 4105 west-1 promo CAPTURED west-2: CAPTURING -> CATCHING_UP
      PULL north-1
 4119 west-1 promo PULLED: CATCHING_UP -> FAILED
      FINISHED
      because: the sync set in the log asks for more members than were captured, or does not name west-1
 6100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:7
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:7 follows east-1
      north-1 FENCED epoch - promised 2/west-1 log 1/east-1:7
      west-1 FENCED epoch - promised 2/west-1 log 1/east-1:7
      west-2 FENCED epoch - promised 2/west-1 log 1/east-1:7
 6100 north-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK west-1
      ASK west-2
 6104 north-1 promo ANSWER west-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/north-1
      CAPTURE east-2 epoch 3/north-1
      CAPTURE north-1 epoch 3/north-1
      CAPTURE west-1 epoch 3/north-1
      CAPTURE west-2 epoch 3/north-1
 6109 north-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 6124 north-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/north-1
 6125 north-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/north-1
      FOLLOW east-1 epoch 3/north-1
      FOLLOW east-2 epoch 3/north-1
      FOLLOW west-1 epoch 3/north-1
      FOLLOW west-2 epoch 3/north-1
 6147 north-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 9100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:7
      east-2 STANDBY epoch - promised 3/north-1 log 3/north-1:8 follows north-1
      north-1 PRIMARY epoch 3/north-1 promised 3/north-1 log 3/north-1:8 acts
      west-1 STANDBY epoch - promised 3/north-1 log 3/north-1:8 follows north-1
      west-2 STANDBY epoch - promised 3/north-1 log 3/north-1:8 follows north-1
