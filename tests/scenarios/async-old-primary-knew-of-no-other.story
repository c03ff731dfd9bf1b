# West-1 is promoted while east-1's daemon is down, and durability becomes async. East-1, started anew, knows of no primary after
# itself: east-2 had promised, and had no row of epoch 2 when it was asked. When it is captured it has some; so east-1 is not the
# last primary, and its own promise is no proof that west-1 has acknowledged nothing alone since.
nodes east-1 east-2 west-1
k 1
quiet node
crash east-1 daemon
cut east-1 west-1
hold west-1 east-2
run 100
promote west-1
run 1400
start east-1 daemon
run 50
show
promote east-1
run 50
release west-1 east-2
want 0 east-1 east-2 west-1
run 3000
write west-1
run 1000
show
----
    0 east-1 crashes: daemon
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 1100 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 1105 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 1114 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 1115 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 1500 east-1 starts: daemon
 1550
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 1/east-1:3 follows west-1
      west-1 CLOSED epoch 2/west-1 promised 2/west-1 log 1/east-1:3
 1550 east-1 promo ORDER: IDLE -> ASKING
      ASK east-2
      ASK west-1
 1637 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 1943 west-1 records the sync set: both, old and k=0 of 0x7
 2443 west-1 names k=0 of 0x7
 2550 east-1 promo ANSWER west-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/east-1
      CAPTURE east-2 epoch 3/east-1
      CAPTURE west-1 epoch 3/east-1
 2555 east-1 promo CAPTURED east-2: CAPTURING -> CATCHING_UP
      PULL east-2
 2569 east-1 promo PULLED: CATCHING_UP -> FAILED
      FINISHED
      because: the sync set in the log asks for more members than were captured, or does not name east-1
 2943 west-1 records the sync set: both, acknowledged by k=0 of 0x7
 3443 west-1 records the sync set: only k=0 of 0x7
 4603 write 1: acknowledged
 5600
      east-1 FENCED epoch 1/east-1 promised 3/east-1 log 2/west-1:5
      east-2 FENCED epoch - promised 3/east-1 log 2/west-1:5
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:8 acts
