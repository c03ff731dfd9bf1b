# Durability 'available', and the arbiter is not heard: nothing is given up, and the write waits as in strict until
# somebody acknowledges. The note that did not arrive is not told again.
nodes east-1 east-2 west-1
arbiter witness
available 1000
quiet act node
run 1500
arbiter 1 cut east-1
hold east-1 east-2
hold east-1 west-1
write east-1
run 5000
show
release east-1 east-2
release east-1 west-1
arbiter 1 join east-1
run 3000
show
rest
----
  434 east-1 records the sync set: only k=1 of 0x7
  934 east-1 records the sync set: only k=1 of 0x7
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2934 east-1 tells the arbiter: note 1, goes on with k=0 of 0x1
 2943 east-1 lease REPLY UNCLEAR: HELD -> FAILSAFE (the arbiter is not heard (the arbiter did not answer in time), and all members follow epoch 1/east-1)
 6500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:6 acts lease FAILSAFE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:6 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:6 follows east-1 lease IDLE
 6507 write 1: acknowledged
 7201 east-1 lease REPLY GRANTED: FAILSAFE -> HELD (holds the lease of epoch 1/east-1)
 9500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:7 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:7 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:7 follows east-1 lease IDLE
 9500 at rest
