# The daemon of the candidate dies when it has asked its database to open. The next one fences the database as it starts; only
# then the server comes to what the first one has asked. It is refused: only whose session has fenced last may open.
nodes east-1 east-2 west-1
quiet write
power-off east-1
on east-2 OPENING crash east-2 daemon
promote east-2
run 1100
start east-2 daemon
run 500
show
promote west-1
run 3000
power-on east-1
run 3000
show
rest
----
    0 east-1 crashes: both
    0 east-2 BEGIN: STANDBY -> CANDIDATE
    0 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 1000 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 1003 west-1 CAPTURED: STANDBY -> FENCED
 1005 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 1014 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 1014 east-2 crashes: daemon
 1100 east-2 starts: daemon
 1600
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 FENCED epoch - promised 2/east-2 log 1/east-1:3
      west-1 FENCED epoch - promised 2/east-2 log 1/east-1:3
 1600 west-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 1600 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2600 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/west-1
      CAPTURE east-2 epoch 3/west-1
      CAPTURE west-1 epoch 3/west-1
 2605 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 2614 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/west-1
 2615 west-1 OPENED: CANDIDATE -> CLOSED
 2615 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/west-1
      FOLLOW east-1 epoch 3/west-1
      FOLLOW east-2 epoch 3/west-1
 2617 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 3/west-1
 2637 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2637 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2657 east-2 ATTACHED: REJOINING -> STANDBY
 4600 east-1 has power again
 4600 east-1 starts: both
 4605 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 3/west-1
 4652 east-1 ATTACHED: REJOINING -> STANDBY
 7600
      east-1 STANDBY epoch 1/east-1 promised 3/west-1 log 3/west-1:4 follows west-1
      east-2 STANDBY epoch - promised 3/west-1 log 3/west-1:4 follows west-1
      west-1 PRIMARY epoch 3/west-1 promised 3/west-1 log 3/west-1:4 acts
 7600 at rest
