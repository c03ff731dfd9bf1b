# All are started again, east-2 without its database: its batond says of itself that it has promised
# nothing. That is no confirmation for the holder, who waits for one that knows.
nodes east-1 east-2 west-1
run 100
crash east-1
crash east-2
crash west-1
run 100
start east-2 daemon
start east-1
run 3000
show
start east-2
run 3000
show
start west-1
run 3000
rest
----
  100 east-1 crashes: both
  100 east-2 crashes: both
  100 west-1 crashes: both
  200 east-2 starts: daemon
  200 east-1 starts: both
 3200
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 FENCED (database down) epoch - promised 1/east-1 log 1/east-1:3
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:3
 3200 east-2 starts: both
 3463 east-1 HEARD: FENCED -> FENCED
      RESUME
 3463 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 3463 east-1 promo ORDER: IDLE -> ARMING
      ARM
 3472 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 3473 east-1 OPENED: CANDIDATE -> CLOSED
 3473 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 3475 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 3478 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3478 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3490 east-2 ATTACHED: REJOINING -> STANDBY
 6200
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:4 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:3
 6200 west-1 starts: both
 6205 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 6220 west-1 ATTACHED: REJOINING -> STANDBY
 9200 at rest
