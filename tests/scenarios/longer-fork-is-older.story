# East-1 has written two rows that nobody acknowledged when west-1 takes epoch 2 and writes one. West-1 is
# lost, and east-1 is ordered to take over before it has seen any of it. Its own log is the longer one and
# the older one: it captures east-2, sets its own two rows aside, pulls the row of epoch 2, and opens.
nodes east-1 east-2 west-1
quiet node
hold east-1 east-2
hold east-1 west-1
write east-1
run 100
crash east-1 database
run 50
start east-1
run 100
crash east-1
promote west-1
run 500
crash west-1
heal
start east-1
run 30
promote east-1
run 2000
show
start west-1
run 2000
rest
----
  100 east-1 crashes: database
  100 write 1: unknown
  150 east-1 starts: both
  171 east-1 promo ORDER: DONE -> ARMING
      ARM
  180 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
  181 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
  250 east-1 crashes: both
  250 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
  254 west-1 promo ANSWER east-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  259 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
  268 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
  269 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
  291 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
  750 west-1 crashes: both
  750 east-1 starts: both
  780 east-1 promo ORDER: IDLE -> ASKING
      ASK east-2
      ASK west-1
  784 east-1 promo ANSWER west-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/east-1
      CAPTURE east-2 epoch 3/east-1
      CAPTURE west-1 epoch 3/east-1
  789 east-1 promo CAPTURED east-2: CAPTURING -> CATCHING_UP
      PULL east-2
  799 east-1 sets 2 rows aside, above revision 3
  809 east-1 promo PULLED: CATCHING_UP -> ARMING
      DETACH
      ARM remake
  818 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/east-1
  819 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/east-1
      FOLLOW east-2 epoch 3/east-1
      FOLLOW west-1 epoch 3/east-1
  841 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2780
      east-1 PRIMARY epoch 3/east-1 promised 3/east-1 log 3/east-1:5 set aside 2 acts
      east-2 STANDBY epoch - promised 3/east-1 log 3/east-1:5 follows east-1
      west-1 (daemon down) (database down) epoch 2/west-1 promised 2/west-1 log 2/west-1:4
 2780 west-1 starts: both
 4780 at rest
