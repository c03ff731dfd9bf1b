# Durability is async. Write 1 is acknowledged by east-1 alone and has not reached west-1 when east-1 is
# lost. A failover needs somebody to take the loss on; when east-1 returns it sets write 1 aside, says so
# and follows.
nodes east-1 west-1
k 0
hold east-1 west-1
write east-1
run 100
crash east-1
promote west-1
run 500
promote west-1 accept-data-loss
run 500
write west-1
run 100
start east-1
run 2000
show
rest
----
    3 write 1: acknowledged
  100 east-1 crashes: both
  100 west-1 BEGIN: STANDBY -> CANDIDATE
  100 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
  104 west-1 promo ANSWER east-1 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': durability is async: only a primary knows what it has acknowledged, and not every voter that may have been primary since epoch 1/east-1 answers
  104 west-1 FAILED: CANDIDATE -> STANDBY
  600 west-1 BEGIN: STANDBY -> CANDIDATE
  600 west-1 promo ORDER: FAILED -> ASKING
      ASK east-1
  604 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
  608 west-1 promo CAPTURED east-1 not ok: CAPTURING -> ARMING
      DETACH
      ARM remake
  614 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
  615 west-1 OPENED: CANDIDATE -> CLOSED
  615 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
  616 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
  616 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1103 write 2: acknowledged
 1200 east-1 starts: both
 1205 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1218 east-1 sets 1 rows aside, above revision 3
 1261 east-1 ATTACHED: REJOINING -> STANDBY
 3200
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:5 follows west-1 set aside 1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
 3200 at rest
