# A primary that comes back with a newer schema than its standbys have is followed by none of them; with the
# others upgraded all is well.
nodes east-1 east-2 west-1
quiet write
crash east-1
upgrade east-1
start east-1
run 3000
show
write east-1
run 500
crash east-2
upgrade east-2
start east-2
crash west-1
upgrade west-1
start west-1
run 5000
rest
----
    0 east-1 crashes: both
    0 east-1 has schema 2
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
   17 east-2 HEARD: STANDBY -> FENCED
   17 west-1 HEARD: STANDBY -> FENCED
   54 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
   54 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3000
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:4 acts
      east-2 FENCED epoch - promised 1/east-1 log 1/east-1:4
      west-1 FENCED epoch - promised 1/east-1 log 1/east-1:4
 3500 east-2 crashes: both
 3500 east-2 has schema 2
 3500 east-2 starts: both
 3500 west-1 crashes: both
 3500 west-1 has schema 2
 3500 west-1 starts: both
 3505 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 3505 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 3520 east-2 ATTACHED: REJOINING -> STANDBY
 3520 west-1 ATTACHED: REJOINING -> STANDBY
 8500 at rest
