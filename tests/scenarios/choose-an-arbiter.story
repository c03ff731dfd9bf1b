# The arbiter of a running cluster is changed: first the record is made at the new one, then a row tells
# every member. Until the row is there the primary asks neither and acts by its members' word. Then it is
# told to do without, and a person decides.
nodes east-1 east-2 west-1
arbiter witness etcd
quiet act
run 1500
choose east-1 2
run 4000
show
rest
choose east-1 none
run 3000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 1500 east-1 is told to use arbiter 2
 1504 east-1 lease CONFIRM: HELD -> FAILSAFE (the arbiter is not heard (it is being changed), and all members follow epoch 1/east-1)
 1525 east-1 lease REPLY GRANTED: FAILSAFE -> HELD (holds the lease of epoch 1/east-1)
 5500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
 5500 at rest
 5500 east-1 is told to do without an arbiter
 5503 east-2 lease CONFIGURE: IDLE -> NONE (nothing to hold here)
 5503 west-1 lease CONFIGURE: IDLE -> NONE (nothing to hold here)
 5505 east-1 lease CONFIGURE: HELD -> NONE (there is no arbiter: who is promoted may act)
 8500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:6 acts lease NONE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:6 follows east-1 lease NONE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:6 follows east-1 lease NONE
 8500 at rest
