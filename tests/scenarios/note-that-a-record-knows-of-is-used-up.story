# A write waits, and east-1 tells the arbiter that it goes on alone; before the arbiter answers, both others are back. What was told was
# not needed, says a record that knows of note 1 and asks for one acknowledgement, as before. That record waits now itself: west-1
# has it, and east-1 does not hear of it. Note 1 is over with that record. So another note is told before east-1 goes on alone,
# or west-1 could be promoted without what was acknowledged then (D3 of sites/degrade.h).
nodes east-1 east-2 west-1
arbiter witness
available 500
takeover manual manual
quiet node promo act lease
run 2000
hold east-1 east-2
hold east-1 west-1
write east-1
run 930
arbiter 1 stop
run 20
release east-1 east-2
release east-1 west-1
run 150
hold east-1 east-2
cut west-1 > east-1 replication
arbiter 1 continue
run 400
hold east-1 west-1
run 100
write east-1
run 1000
show
heal
release east-1 east-2
release east-1 west-1
run 4000
show
rest
----
  434 east-1 records the sync set: only k=1 of 0x7
  934 east-1 records the sync set: only k=1 of 0x7
 2930 arbiter 1 stands still
 2934 east-1 tells the arbiter: note 1, goes on with k=0 of 0x1
 3007 write 1: acknowledged
 3100 arbiter 1 goes on
 3102 east-1 records the sync set: only k=1 of 0x7
 3934 east-1 tells the arbiter: note 2, goes on with k=0 of 0x1
 3938 east-1 names k=0 of 0x1
 3942 write 2: acknowledged
 4434 east-1 records the sync set: only k=0 of 0x1, fewer than were promised
 4600
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:10 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:7 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:8 follows east-1 lease IDLE
 4934 east-1 records the sync set: both, old and k=1 of 0x7, fewer than were promised
 5434 east-1 names k=1 of 0x7
 5934 east-1 records the sync set: both, acknowledged by k=1 of 0x7, fewer than were promised
 6434 east-1 records the sync set: only k=1 of 0x7
 7434 east-1 tells the arbiter: note 3, as promised again k=0 of 0x0
 8600
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:13 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:13 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:13 follows east-1 lease IDLE
 8600 at rest
