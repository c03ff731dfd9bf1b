# East-1 is cut off, its daemon is started anew, and is fenced. Then a person makes its database primary by hand, past the gate, and
# the daemon does not know; what a fence leaves that failed is the same. East-2 is primary meanwhile. East-1's own
# database refuses to be attached, so it is fenced once more, and comes back. Else it would refuse for ever.
nodes east-1 east-2 west-1
quiet write
run 100
cut east-1 east-2
cut east-1 west-1
write east-1
run 100
promote east-2
run 3000
crash east-1 daemon
start east-1 daemon
run 100
reopen east-1
heal
run 6000
show
rest
----
  200 east-2 BEGIN: STANDBY -> CANDIDATE
  200 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 1200 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 1203 west-1 CAPTURED: STANDBY -> FENCED
 1205 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 1214 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 1215 east-2 OPENED: CANDIDATE -> CLOSED
 1215 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 1217 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 1237 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 1237 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1257 west-1 ATTACHED: REJOINING -> STANDBY
 3200 east-1 crashes: daemon
 3200 east-1 starts: daemon
 3300 east-1: its database is made primary by hand
 4455 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 4468 east-1 ATTACHED not ok, BT009 primary: REJOINING -> FENCED
      FENCE_DATABASE
 4968 east-1 TICK: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 4981 east-1 sets 1 rows aside, above revision 3
 5024 east-1 ATTACHED: REJOINING -> STANDBY
 9300
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:4 follows east-2 set aside 1
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:4 acts
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:4 follows east-2
 9300 at rest
