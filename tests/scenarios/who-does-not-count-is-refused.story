# Durability 'available'. East-1 goes on alone and dies; the others come back and have not what it wrote. Nobody takes
# over by itself, and a person is refused. He takes the loss on; east-1 comes back, and what it wrote alone is set aside.
nodes east-1 east-2 west-1
arbiter etcd
available 1000
takeover automatic automatic
quiet act node lease
run 1500
write east-1
run 100
power-off east-2
power-off west-1
write east-1
run 3000
write east-1
run 100
show
power-off east-1
power-on east-2
power-on west-1
run 12000
show
promote west-1
run 1500
promote west-1 accept-data-loss
run 4000
write west-1
run 200
power-on east-1
run 8000
show
rest
----
  430 east-1 records the sync set: only k=1 of 0x7
  930 east-1 records the sync set: only k=1 of 0x7
 1507 write 1: acknowledged
 1600 east-2 crashes: both
 1600 west-1 crashes: both
 2930 east-1 tells the arbiter: note 1, goes on with k=0 of 0x1
 2938 east-1 names k=0 of 0x1
 2941 write 2: acknowledged
 3430 east-1 records the sync set: only k=0 of 0x1, fewer than were promised
 4603 write 3: acknowledged
 4700
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:10 acts lease HELD
      east-2 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:7 lease IDLE
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:7 lease IDLE
 4700 east-1 crashes: both
 4700 east-2 has power again
 4700 east-2 starts: both
 4700 west-1 has power again
 4700 west-1 starts: both
16700
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:10 lease HELD
      east-2 FENCED epoch - promised 1/east-1 log 1/east-1:7 lease IDLE
      west-1 FENCED epoch - promised 1/east-1 log 1/east-1:7 lease IDLE
16700 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
      ASK_ARBITER
17700 west-1 promo ANSWER east-1 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': since then a write is acknowledged when the primary alone has it, and it does not answer
18200 west-1 promo ORDER: FAILED -> ASKING
      ASK east-1
      ASK east-2
      ASK_ARBITER
19200 west-1 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      PROMISE epoch 2/west-1
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
19205 west-1 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
19214 west-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/west-1
19216 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-1 epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
19238 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
19700 west-1 records the sync set: only k=1 of 0x7
22207 write 4: acknowledged
22400 east-1 has power again
22400 east-1 starts: both
22418 east-1 sets 3 rows aside, above revision 7
23700 west-1 tells the arbiter: note 2, as promised again k=0 of 0x0
30400
      east-1 STANDBY epoch 1/east-1 promised 2/west-1 log 2/west-1:11 follows west-1 set aside 3 lease IDLE
      east-2 STANDBY epoch - promised 2/west-1 log 2/west-1:11 follows west-1 lease IDLE
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:11 acts lease HELD
30400 at rest
