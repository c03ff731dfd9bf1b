# Nobody can subscribe to the candidate: given up while the writes are still open.
nodes east-1 east-2 west-1
cut west-1 east-1 replication
cut west-1 east-2 replication
write east-1
run 50
on west-1 PREPARING write east-1
promote west-1 override streaming
run 5000
show
----
    7 write 1: acknowledged
   50 west-1 BEGIN: STANDBY -> CANDIDATE
   50 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
   54 west-1 promo ANSWER east-2: ASKING -> ARMING
      ARM remake
   63 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
      PREPARE east-2
   70 write 2: acknowledged
 3063 west-1 promo PREPARED east-2 not ok: PREPARING -> FAILED
      FINISHED
      because: receiving from west-1: 0 members, needed: 1; nothing was changed; east-2: no answer in time
 3063 west-1 FAILED: CANDIDATE -> STANDBY
 5050
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:5 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:5 follows east-1
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:3 follows east-1
