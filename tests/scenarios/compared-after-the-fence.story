# Three voters, k=1. A freeze at a-1 waits for write 1, which only c-1 has, and whose acknowledgement is
# on its way. c-1 is promoted meanwhile without a-1: the write is in its log (revision 4). a-1 hears of
# that and is fenced, which has to wait for the freeze. It does not ask where the two logs part before: its
# own queries would not see the write yet, and would by the time of the answer. So the write is compared, and
# stays: nobody else would have it, until c-1's first row is acknowledged, and c-1 may die first.
nodes a-1 b-1 c-1
k 1
run 94
hold a-1 b-1
cut c-1 > a-1 replication
at 116 write a-1 direct
promote b-1
run 106
cut a-1 c-1 https
on c-1 ARMING heal
on c-1 ARMING cut c-1 > a-1 replication
on c-1 OPENING cut b-1 c-1
promote c-1
on a-1 FENCED heal
on a-1 FENCED cut b-1 c-1
run 1300
show
heal
release a-1 b-1
run 2000
rest
show
----
   94 b-1 BEGIN: STANDBY -> CANDIDATE
   94 b-1 promo ORDER: IDLE -> ASKING
      ASK a-1
      ASK c-1
   98 b-1 promo ANSWER c-1: ASKING -> ARMING
      ARM remake
  107 b-1 promo ARMED: ARMING -> PREPARING
      PREPARE a-1
      PREPARE c-1
  143 b-1 promo PREPARED c-1: PREPARING -> FREEZING
      FREEZE a-1 epoch 2/b-1
  145 a-1 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
  200 c-1 BEGIN: STANDBY -> CANDIDATE
  200 c-1 promo ORDER: IDLE -> ASKING
      ASK a-1
      ASK b-1
 1200 c-1 promo ANSWER a-1 not ok: ASKING -> CAPTURING
      CAPTURE a-1 epoch 2/c-1
      CAPTURE b-1 epoch 2/c-1
      CAPTURE c-1 epoch 2/c-1
 1203 b-1 promo SUPERSEDED: FREEZING -> FAILED
      FINISHED
      because: b-1 has promised the later epoch 2/c-1: another promotion came before this one
 1203 b-1 FAILED: CANDIDATE -> STANDBY
 1203 b-1 CAPTURED: STANDBY -> FENCED
 1205 c-1 promo CAPTURED b-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 1214 c-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/c-1
 1215 c-1 OPENED: CANDIDATE -> CLOSED
 1215 c-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/c-1
      FOLLOW a-1 epoch 2/c-1
      FOLLOW b-1 epoch 2/c-1
 1217 a-1 HEARD: DRAINING -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 1223 write 1: acknowledged
 1227 a-1 FENCED: FENCED -> REJOINING
      ATTACH c-1 epoch 2/c-1
 1247 c-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 1247 c-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 1267 a-1 ATTACHED: REJOINING -> STANDBY
 1500
      a-1 STANDBY epoch 1/a-1 promised 2/c-1 log 2/c-1:5 follows c-1
      b-1 FENCED epoch - promised 2/c-1 log 1/a-1:3
      c-1 PRIMARY epoch 2/c-1 promised 2/c-1 log 2/c-1:5 acts
 1947 b-1 HEARD: FENCED -> REJOINING
      ATTACH c-1 epoch 2/c-1
 1994 b-1 ATTACHED: REJOINING -> STANDBY
 3500 at rest
 3500
      a-1 STANDBY epoch 1/a-1 promised 2/c-1 log 2/c-1:5 follows c-1
      b-1 STANDBY epoch - promised 2/c-1 log 2/c-1:5 follows c-1
      c-1 PRIMARY epoch 2/c-1 promised 2/c-1 log 2/c-1:5 acts
