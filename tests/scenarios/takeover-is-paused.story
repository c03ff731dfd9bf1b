# Work on the network: the primary is told that nobody takes over for twelve seconds. It is lost meanwhile;
# when the pause has ended, by itself, the takeover begins.
nodes east-1 east-2 west-1
arbiter witness
quiet act promo
run 2000
pause east-1 12000
run 100
power-off east-1
run 11000
show
run 3000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 is told that nobody takes over for 12000 ms
 2100 east-1 crashes: both
13100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:5 lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1 lease IDLE
14034 east-2 takes over by itself: its lease is over, and nobody meets it as primary, for 10 s
14034 east-2 BEGIN: STANDBY -> CANDIDATE
15037 west-1 CAPTURED: STANDBY -> FENCED
15050 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
15050 east-2 OPENED: CANDIDATE -> CLOSED
15052 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
15058 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
15072 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
15092 west-1 ATTACHED: REJOINING -> STANDBY
16100
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:5 lease HELD
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 lease WAITING
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
