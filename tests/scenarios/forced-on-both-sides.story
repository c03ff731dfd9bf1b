# S47 of docs/decisions/0018.
# A cut between the sites, and somebody on each side promotes and takes the loss on. Both sides write. When
# the cut heals, the later pair, (2, west-1), wins; what the other side wrote is set aside there, none of it
# vanishes.
nodes east-1 east-2 west-1 west-2
k 1
quiet promo
cut east-1 west-1
cut east-1 west-2
cut east-2 west-1
cut east-2 west-2
promote east-2 accept-data-loss override freeze
promote west-1 accept-data-loss
run 2500
write east-2
write west-1
run 1000
show
heal
run 4000
show
rest
----
    0 east-2 BEGIN: STANDBY -> CANDIDATE
    0 west-1 BEGIN: STANDBY -> CANDIDATE
 1003 east-1 CAPTURED: PRIMARY -> FENCED
      WRITES_HOLD
      DEACTIVATE
 1003 west-2 CAPTURED: STANDBY -> FENCED
 2013 east-2 OPENED: CANDIDATE -> CLOSED
 2013 west-1 OPENED: CANDIDATE -> CLOSED
 2015 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 2015 west-2 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 2035 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2035 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2055 east-1 ATTACHED: REJOINING -> STANDBY
 2055 west-2 ATTACHED: REJOINING -> STANDBY
 2507 write 1: acknowledged
 2507 write 2: acknowledged
 3500
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:5 follows east-2
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:5 acts
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
      west-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
 3944 east-2 HEARD: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 3945 east-2 FENCED: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3958 east-2 sets 2 rows aside, above revision 3
 4001 east-2 ATTACHED: REJOINING -> STANDBY
 4195 east-1 HEARD: STANDBY -> REJOINING
      ATTACH west-1 epoch 2/west-1
 4208 east-1 sets 2 rows aside, above revision 3
 4251 east-1 ATTACHED: REJOINING -> STANDBY
 7500
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:5 follows west-1 set aside 2
      east-2 STANDBY epoch 2/east-2 promised 2/west-1 log 2/west-1:5 follows west-1 set aside 2
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
      west-2 STANDBY epoch - promised 2/west-1 log 2/west-1:5 follows west-1
 7500 at rest
