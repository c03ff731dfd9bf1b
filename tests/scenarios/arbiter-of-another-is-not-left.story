# East-1 is cut off from its members, not from the arbiter: it goes on acting by its lease. West-1 is
# promoted; the arbiter does not grant it anything. To choose another arbiter now would let both act, as
# east-1 would never hear of it: refused. When the lease of east-1 is over, the same is done.
nodes east-1 east-2 west-1
arbiter witness witness
quiet write
run 2000
cut east-1 east-2
cut east-1 west-1
promote west-1
run 3000
choose west-1 2
run 500
show
arbiter 1 cut east-1
run 14000
choose west-1 2
run 3000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
  976 east-1 uses its server: done
 2000 west-1 BEGIN: STANDBY -> CANDIDATE
 2000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 3000 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 3003 east-2 CAPTURED: STANDBY -> FENCED
 3005 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 3014 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 3016 west-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/west-1)
 3016 west-1 OPENED: CANDIDATE -> CLOSED
 3016 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 3018 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3038 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3038 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3058 east-2 ATTACHED: REJOINING -> STANDBY
 5000 west-1 may not act, so it does not turn to another arbiter
 5500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:4 acts lease HELD
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:6 follows west-1 lease IDLE
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:6 lease WANTED
 9443 east-1 lease TICK: HELD -> LOST (the lease was not renewed in time: the arbiter did not answer in time)
 9443 east-1 LAPSED: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 9444 east-1 lease CLOSE: LOST -> IDLE (nothing to hold here)
 9468 east-1 gives its server up: done
 9955 west-1 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/west-1; who acted before has not said that he stopped)
14955 west-1 lease TICK: WAITING -> HELD (holds the lease of epoch 2/west-1)
14981 west-1 uses its server: done
19500 west-1 is told to use arbiter 2
22500
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:4 lease IDLE
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:7 follows west-1 lease IDLE
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:7 acts lease HELD
