# East-1's PostgreSQL comes back, and is asked twice what it is: with each answer it is fenced. The first one begins a resumption, which
# sends OPEN while the second is under way. It is run after that fence: so one more is sent. Else the node would be fenced, its
# database would take writes, and no primary of a later epoch could be attached to.
nodes east-1 east-2 west-1
run 300
crash east-1 database
run 632
start east-1 database
run 100
write east-1 direct
run 2000
show
rest
----
  300 east-1 crashes: database
  302 east-1 LOST: PRIMARY -> FENCED
      WRITES_CLOSE
  932 east-1 starts: database
  944 east-1 START: FENCED -> FENCED
      RESUME
  944 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
  944 east-1 promo ORDER: DONE -> ARMING
      ARM
  953 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
  953 east-1 START: CANDIDATE -> FENCED
      FENCE_DATABASE
  953 east-1 promo LOST: OPENING -> FAILED
      FINISHED
      because: east-1 cannot go on: started; the current epoch is not yet known from the peers
  953 east-1 FAILED: refused in FENCED
  955 east-1 FENCED: FENCED -> FENCED
      RESUME
  955 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
  955 east-1 promo ORDER: FAILED -> ARMING
      ARM
  964 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
  965 east-1 OPENED: CANDIDATE -> CLOSED
  965 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
  970 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
  970 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1039 write 1: acknowledged
 3032
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1
 3032 at rest
