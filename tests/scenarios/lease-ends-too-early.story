# The arbiter lets the lease go before its time, as a leader that hangs may do, while the holder cannot ask
# it. East-2 takes over at once by a person's order; but it may act only when the time that the old holder
# counts on has surely passed.
nodes east-1 east-2 west-1
arbiter etcd
quiet node promo write
run 2900
arbiter 1 cut east-1
cut east-1 east-2
cut east-1 west-1
arbiter 1 revoke
promote east-2 override freeze
run 9000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
  976 east-1 uses its server: done
 2900 arbiter 1 lets the lease end too early
 3916 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 3928 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
 6439 east-1 lease TICK: HELD -> LOST (the lease was not renewed in time: the arbiter did not answer in time)
 6440 east-1 lease CLOSE: LOST -> IDLE (nothing to hold here)
 6464 east-1 gives its server up: done
 8928 east-2 lease TICK: WAITING -> HELD (holds the lease of epoch 2/east-2)
 8954 east-2 uses its server: done
11900
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:4 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
