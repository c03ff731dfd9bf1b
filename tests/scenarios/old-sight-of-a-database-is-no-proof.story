# Batond and PostgreSQL of the primary end, and are back before anybody may take over: both others have
# seen them refuse. Later batond alone ends, and its PostgreSQL is behind a cut. What was seen of
# PostgreSQL before says nothing about it now: they wait until the lease is over.
nodes east-1 east-2 west-1
arbiter witness
quiet act write
run 2000
pause east-1 4000
crash east-1
run 1000
start east-1
run 6000
cut east-1 east-2 replication
cut east-1 west-1 replication
crash east-1 daemon
run 8000
show
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 2000 east-1 is told that nobody takes over for 4000 ms
 2000 east-1 crashes: both
 3000 east-1 starts: both
 3005 east-1 HEARD: FENCED -> FENCED
      WANT epoch 1/east-1
 3005 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
 3005 east-1 HEARD: FENCED -> FENCED
      WANT epoch 1/east-1
 3013 east-1 lease REPLY GRANTED: WANTED -> HELD (holds the lease of epoch 1/east-1)
 3013 east-1 TICK: FENCED -> FENCED
      RESUME
 3013 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 3013 east-1 promo ORDER: IDLE -> ARMING
      ARM
 3022 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
 3024 east-1 OPENED: CANDIDATE -> CLOSED
 3024 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
      FOLLOW east-2 epoch 1/east-1
      FOLLOW west-1 epoch 1/east-1
 3054 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3054 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 9000 east-1 crashes: daemon
13046 east-2 takes over by itself: its lease is over, and nobody meets it as primary, for 2.1 s
13046 east-2 BEGIN: STANDBY -> CANDIDATE
13046 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
13050 east-2 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
13053 west-1 CAPTURED: STANDBY -> FENCED
13055 east-2 promo CAPTURED west-1: CAPTURING -> ARMING
      DETACH
      ARM remake
13064 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
13066 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
13066 east-2 OPENED: CANDIDATE -> CLOSED
13066 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
13068 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
13074 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
13088 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
13088 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
13108 west-1 ATTACHED: REJOINING -> STANDBY
17000
      east-1 (daemon down) epoch 1/east-1 promised 1/east-1 log 1/east-1:5 lease HELD
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:7 lease WAITING
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:7 follows east-2 lease IDLE
