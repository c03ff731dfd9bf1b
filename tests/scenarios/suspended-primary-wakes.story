# The primary's machine sleeps for longer than its lease lasts, and wakes: the first thing that its daemon
# does is to stop acting and to fence. East-2 took over meanwhile.
nodes east-1 east-2 west-1
arbiter etcd
keeper
run 2000
suspend east-1
run 11000
resume east-1
run 4000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
  976 east-1 uses its server: done
 2000 east-1 is suspended
 7030 east-2 takes over by itself: its lease is over, and nobody meets it as primary, for 3.0 s
 7030 east-2 BEGIN: STANDBY -> CANDIDATE
 7030 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 8030 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 8033 west-1 CAPTURED: STANDBY -> FENCED
 8035 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 8044 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 8046 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
 8046 east-2 OPENED: CANDIDATE -> CLOSED
 8046 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 8048 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 8058 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
 8068 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 8068 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 8088 west-1 ATTACHED: REJOINING -> STANDBY
13000 east-1 wakes
13000 east-1 lease TICK: HELD -> LOST (the lease was not renewed in time: this process did not run)
13000 east-1 LAPSED: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
13001 east-1 lease CLOSE: LOST -> IDLE (nothing to hold here)
13001 east-1 FENCED: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
13003 east-1 CAPTURED: REJOINING -> REJOINING
      ATTACH east-2 epoch 2/east-2
13026 east-1 gives its server up: done
13051 east-1 ATTACHED: REJOINING -> STANDBY
13058 east-2 lease TICK: WAITING -> HELD (holds the lease of epoch 2/east-2)
13084 east-2 uses its server: done
17000
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
17000 at rest
