# Two takeovers within a minute are one too many: the second waits for the pause between them, which the
# log of the new primary tells. A person may do it at once.
nodes east-1 east-2 west-1
arbiter etcd
takeover automatic automatic
cooldown 30000
quiet act promo
run 2000
power-off east-1
run 9000
power-on east-1
run 3000
power-off east-2
run 15000
show
run 15000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 crashes: both
 7030 east-2 takes over by itself: its lease is over, and nobody meets it as primary, for 3.0 s
 7030 east-2 BEGIN: STANDBY -> CANDIDATE
 8033 west-1 CAPTURED: STANDBY -> FENCED
 8046 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 8046 east-2 OPENED: CANDIDATE -> CLOSED
 8048 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 8058 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
 8068 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 8088 west-1 ATTACHED: REJOINING -> STANDBY
11000 east-1 has power again
11000 east-1 starts: both
11005 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
11052 east-1 ATTACHED: REJOINING -> STANDBY
11062 east-2 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 2/east-2)
14000 east-2 crashes: both
29000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
      east-2 (daemon down) (database down) epoch 2/east-2 promised 2/east-2 log 2/east-2:6 lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
37100 east-1 takes over by itself: its lease is over, and nobody meets it as primary, for 21 s
37100 east-1 BEGIN: STANDBY -> CANDIDATE
38103 west-1 CAPTURED: STANDBY -> FENCED
38116 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 3/east-1)
38116 east-1 OPENED: CANDIDATE -> CLOSED
38118 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-1 epoch 3/east-1
38128 east-1 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 3/east-1; who acted before has not said that he stopped)
38138 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
38158 west-1 ATTACHED: REJOINING -> STANDBY
43128 east-1 lease TICK: WAITING -> HELD (holds the lease of epoch 3/east-1)
44000
      east-1 PRIMARY epoch 3/east-1 promised 3/east-1 log 3/east-1:8 acts lease HELD
      east-2 (daemon down) (database down) epoch 2/east-2 promised 2/east-2 log 2/east-2:6 lease HELD
      west-1 STANDBY epoch - promised 3/east-1 log 3/east-1:8 follows east-1 lease IDLE
