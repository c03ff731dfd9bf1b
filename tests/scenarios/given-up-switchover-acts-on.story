# A switchover that is given up leaves the primary what it was: it may act, and follows a flag that is set
# afterwards. (It had lost its permission to act until the next promotion.)
nodes east-1 east-2 west-1
arbiter witness
quiet promo
run 1500
hold east-1 west-1
write east-1
run 500
promote west-1
run 6000
alternate east-1
run 1000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
  976 east-1 uses its server: done
 1507 write 1: acknowledged
 2000 west-1 BEGIN: STANDBY -> CANDIDATE
 2051 east-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
 3056 east-1 THAW: DRAINING -> DRAINING
      THAW_DATABASE epoch 1/east-1
 3057 east-1 REOPENED: DRAINING -> PRIMARY
      WRITES_OPEN
 3058 west-1 FAILED: CANDIDATE -> STANDBY
 8023 east-1 uses its server: done
 9000
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
