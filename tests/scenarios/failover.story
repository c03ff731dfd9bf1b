# The primary's host is lost. West-1 takes over: nobody answers as primary, so promises of enough members
# come first. The old primary returns by itself as a standby.
nodes east-1 east-2 west-1
write west-1
run 50
crash east-1
run 1000
write west-1
promote west-1
run 200
write east-2
run 300
start east-1
run 2000
show
rest
----
   11 write 1: acknowledged
   50 east-1 crashes: both
 1050 west-1 BEGIN: STANDBY -> CANDIDATE
 1050 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 1054 west-1 promo ANSWER east-2: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 1056 write 2: refused
 1057 east-2 CAPTURED: STANDBY -> FENCED
 1059 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 1068 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
 1069 west-1 OPENED: CANDIDATE -> CLOSED
 1069 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 1071 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1091 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 1091 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1111 east-2 ATTACHED: REJOINING -> STANDBY
 1261 write 3: acknowledged
 1550 east-1 starts: both
 1555 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1602 east-1 ATTACHED: REJOINING -> STANDBY
 3550
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:6 follows west-1
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:6 follows west-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:6 acts
 3550 at rest
