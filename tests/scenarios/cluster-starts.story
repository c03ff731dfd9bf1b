# All three nodes are started after a power failure. Each is fenced until it has heard the others; the
# holder of the epoch goes on when one of them has confirmed that nothing later was promised, and not before.
nodes east-1 east-2 west-1
quiet promo
crash east-1
crash east-2
crash west-1
run 1000
start east-1
run 2000
write east-1
run 100
show
start west-1
run 500
write east-1
run 100
start east-2
run 2000
rest
----
    0 east-1 crashes: both
    0 east-2 crashes: both
    0 west-1 crashes: both
 1000 east-1 starts: both
 3002 write 1: refused
 3100
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:3
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:3
 3100 west-1 starts: both
 3259 east-1 HEARD: FENCED -> FENCED
      RESUME
 3259 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 3269 east-1 OPENED: CANDIDATE -> CLOSED
 3271 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 3274 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3286 west-1 ATTACHED: REJOINING -> STANDBY
 3607 write 2: acknowledged
 3700 east-2 starts: both
 3705 east-2 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 1/east-1
 3720 east-2 ATTACHED: REJOINING -> STANDBY
 5700 at rest
