# East-1 restarts and goes on under epoch 1, but its first row is not acknowledged: no replication.
# West-1 takes epoch 2 meanwhile and dies; east-2 has promised it and will never acknowledge epoch 1. East-1
# gives up after a while, so that it can be ordered to take a later epoch.
nodes east-1 east-2 west-1
quiet write
crash east-1 daemon
cut east-1 east-2 replication
cut east-1 west-1 replication
start east-1
run 1000
cut east-1 west-1 https
on west-1 OPENING crash west-1 both
promote west-1 override streaming
run 9000
show
heal
promote east-1
run 2000
start west-1
run 3000
rest
----
    0 east-1 crashes: daemon
    0 east-1 starts: both
    5 east-1 HEARD: FENCED -> FENCED
      RESUME
    5 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
    5 east-1 promo ORDER: IDLE -> ARMING
      ARM
   14 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
   15 east-1 OPENED: CANDIDATE -> CLOSED
   15 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 1000 west-1 BEGIN: STANDBY -> CANDIDATE
 1000 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 2000 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 2003 east-2 CAPTURED: STANDBY -> FENCED
 2005 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 2014 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 2014 west-1 crashes: both
 3015 east-1 promo TIMEOUT: ACKNOWLEDGING -> ACKNOWLEDGING
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 6015 east-1 promo TIMEOUT: ACKNOWLEDGING -> ACKNOWLEDGING
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 9015 east-1 promo TIMEOUT: ACKNOWLEDGING -> ACKNOWLEDGING
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
10000 east-1 TICK: CLOSED -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
10000 east-1 promo LOST: ACKNOWLEDGING -> FAILED
      FINISHED
      because: east-1 cannot go on: other members have promised a later epoch before our first row was acknowledged
10000 east-1 FAILED: refused in FENCED
10000
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 FENCED epoch - promised 2/west-1 log 1/east-1:3
      west-1 (daemon down) (database down) epoch - promised 2/west-1 log 1/east-1:3
10000 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
10000 east-1 promo ORDER: FAILED -> ASKING
      ASK east-2
      ASK west-1
10004 east-1 promo ANSWER west-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/east-1
      CAPTURE east-2 epoch 3/east-1
      CAPTURE west-1 epoch 3/east-1
10009 east-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
10018 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/east-1
10019 east-1 OPENED: CANDIDATE -> CLOSED
10019 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/east-1
      FOLLOW east-2 epoch 3/east-1
      FOLLOW west-1 epoch 3/east-1
10021 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
10168 east-2 ATTACHED: REJOINING -> STANDBY
10172 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
10172 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
12000 west-1 starts: both
12005 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
12077 west-1 ATTACHED: REJOINING -> STANDBY
15000 at rest
