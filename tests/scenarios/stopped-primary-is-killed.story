# Somebody stops the primary's daemon (SIGSTOP). Its keeper kills it when the lease is over, so that nothing
# of it wakes later, and starts it again: fenced. It asks its peers and the arbiter, and goes on, because
# nobody had been told to take over meanwhile.
nodes east-1 east-2 west-1
arbiter witness
takeover manual manual
keeper
quiet act
run 2000
stop east-1 daemon
run 12000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 stands still: daemon
 6493 east-1 did not give up in time
 6493 east-1 crashes: daemon
 6513 east-1 starts: daemon
 6518 east-1 HEARD: FENCED -> FENCED
      WANT epoch 1/east-1
 6518 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
 6518 east-1 HEARD: FENCED -> FENCED
      WANT epoch 1/east-1
 6526 east-1 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/east-1)
 6526 east-1 TICK: FENCED -> FENCED
      RESUME
 6526 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 6526 east-1 promo ORDER: IDLE -> ARMING
      ARM
 6535 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 6537 east-1 OPENED: CANDIDATE -> CLOSED
 6537 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 6542 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 6542 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
14000
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
14000 at rest
