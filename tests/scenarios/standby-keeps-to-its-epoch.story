# West-2 was down when west-1 took epoch 2; it comes back, follows west-1 and holds rows of epoch 2. Then
# west-1 is lost, and east-1, which has not heard of any of it, is in sight again and calls itself primary
# of epoch 1. West-2 must not go back to it: it would set rows of epoch 2 aside.
nodes east-1 east-2 north-1 west-1 west-2
k 2
quiet promo write
crash west-2
cut east-1 east-2
cut east-1 west-1
cut east-1 north-1
cut east-1 west-2
promote west-1
run 2500
start west-2
run 500
write west-1
run 200
crash west-1
run 3100
heal
cut east-1 east-2
cut east-1 north-1
run 8000
show
----
    0 west-2 crashes: both
    0 west-1 BEGIN: STANDBY -> CANDIDATE
 1003 east-2 CAPTURED: STANDBY -> FENCED
 1003 north-1 CAPTURED: STANDBY -> FENCED
 1021 west-1 OPENED: CANDIDATE -> CLOSED
 1023 east-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1023 north-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 1043 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1063 east-2 ATTACHED: REJOINING -> STANDBY
 1063 north-1 ATTACHED: REJOINING -> STANDBY
 2500 west-2 starts: both
 2505 west-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 2552 west-2 ATTACHED: REJOINING -> STANDBY
 3200 west-1 crashes: both
 6941 east-1 HEARD: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
14300
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
      north-1 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
      west-1 (daemon down) (database down) epoch 2/west-1 promised 2/west-1 log 2/west-1:5
      west-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
