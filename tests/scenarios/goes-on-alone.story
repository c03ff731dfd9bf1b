# Durability 'available'. Nobody acknowledges any more: the write waits, the arbiter is told, then it goes on with
# nobody. When the others are back they count again, first by the old set and the new one, and the arbiter hears
# of it last.
nodes east-1 east-2 west-1
arbiter witness
available 2000
quiet act node lease
run 1500
write east-1
run 100
power-off east-2
power-off west-1
write east-1
run 4000
write east-1
run 100
show
power-on east-2
power-on west-1
run 6000
write east-1
run 200
show
rest
----
  434 east-1 records the sync set: only k=1 of 0x7
  934 east-1 records the sync set: only k=1 of 0x7
 1507 write 1: acknowledged
 1600 east-2 crashes: both
 1600 west-1 crashes: both
 3934 east-1 tells the arbiter: note 1, goes on with k=0 of 0x1
 3938 east-1 names k=0 of 0x1
 3941 write 2: acknowledged
 4434 east-1 records the sync set: only k=0 of 0x1, fewer than were promised
 5603 write 3: acknowledged
 5700
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:10 acts lease HELD
      east-2 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:7 lease IDLE
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:7 lease IDLE
 5700 east-2 has power again
 5700 east-2 starts: both
 5700 west-1 has power again
 5700 west-1 starts: both
 5934 east-1 records the sync set: both, old and k=1 of 0x7, fewer than were promised
 6434 east-1 names k=1 of 0x7
 6934 east-1 records the sync set: both, acknowledged by k=1 of 0x7, fewer than were promised
 7434 east-1 records the sync set: only k=1 of 0x7
 8434 east-1 tells the arbiter: note 2, as promised again k=0 of 0x0
11707 write 4: acknowledged
11900
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:14 acts lease HELD
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:14 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:14 follows east-1 lease IDLE
11900 at rest
