# A-1 changes the sync set from all five with k=1 to four of them with k=2, and is cut off before the new
# set has acknowledged anything: the others have seen the record that makes both count, and no more.
# D-1 becomes primary from there, and e-1, of the old set, acknowledges for it. A-1 and c-1 are a
# capture of the new set. They must not go by what only a-1's own log says: they lack that row.
nodes a-1 b-1 c-1 d-1 e-1
k 1
quiet node
want 2 a-1 b-1 c-1 d-1
run 1100
cut a-1 b-1
cut a-1 c-1
cut a-1 d-1
cut a-1 e-1
run 900
hold d-1 b-1
hold d-1 c-1
promote d-1
run 1100
write d-1
run 200
crash b-1
crash d-1
crash e-1
crash a-1
heal
start a-1
run 500
promote a-1
run 2000
show
release d-1 b-1
release d-1 c-1
start b-1
start d-1
start e-1
run 30000
rest
show
----
  437 a-1 records the sync set: both, old and k=2 of 0xf
  937 a-1 names k=2 of 0xf
 1437 a-1 records the sync set: both, acknowledged by k=2 of 0xf
 2000 d-1 promo ORDER: IDLE -> ASKING
      ASK a-1
      ASK b-1
      ASK c-1
      ASK e-1
 3000 d-1 promo ANSWER a-1 not ok: ASKING -> CAPTURING
      CAPTURE a-1 epoch 2/d-1
      CAPTURE b-1 epoch 2/d-1
      CAPTURE c-1 epoch 2/d-1
      CAPTURE d-1 epoch 2/d-1
      CAPTURE e-1 epoch 2/d-1
 3005 d-1 promo CAPTURED e-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 3020 d-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/d-1
 3021 d-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/d-1
      FOLLOW a-1 epoch 2/d-1
      FOLLOW b-1 epoch 2/d-1
      FOLLOW c-1 epoch 2/d-1
      FOLLOW e-1 epoch 2/d-1
 3043 d-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 3107 write 1: acknowledged
 3300 b-1 crashes: both
 3300 d-1 crashes: both
 3300 e-1 crashes: both
 3300 a-1 crashes: both
 3300 a-1 starts: both
 3800 a-1 promo ORDER: IDLE -> ASKING
      ASK b-1
      ASK c-1
      ASK d-1
      ASK e-1
 3804 a-1 promo ANSWER e-1 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': answering: 2 of 5 members, needed to hold every acknowledged write: 2
 5800
      a-1 FENCED epoch 1/a-1 promised 1/a-1 log 1/a-1:5
      b-1 (daemon down) (database down) epoch - promised 2/d-1 log 1/a-1:4
      c-1 STANDBY epoch - promised 2/d-1 log 1/a-1:4 follows d-1
      d-1 (daemon down) (database down) epoch 2/d-1 promised 2/d-1 log 2/d-1:6
      e-1 (daemon down) (database down) epoch - promised 2/d-1 log 2/d-1:6
 5800 b-1 starts: both
 5800 d-1 starts: both
 5800 e-1 starts: both
 5805 d-1 promo ORDER: IDLE -> ARMING
      ARM
 5820 d-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/d-1 resume
 5821 d-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/d-1
      FOLLOW a-1 epoch 2/d-1
      FOLLOW b-1 epoch 2/d-1
      FOLLOW c-1 epoch 2/d-1
      FOLLOW e-1 epoch 2/d-1
 5826 d-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 5836 a-1 sets 1 rows aside, above revision 4
 6300 d-1 names k=2 of 0xf
 6800 d-1 records the sync set: both, acknowledged by k=2 of 0xf
 7300 d-1 records the sync set: only k=2 of 0xf
35800 at rest
35800
      a-1 STANDBY epoch 1/a-1 promised 2/d-1 log 2/d-1:9 follows d-1 set aside 1
      b-1 STANDBY epoch - promised 2/d-1 log 2/d-1:9 follows d-1
      c-1 STANDBY epoch - promised 2/d-1 log 2/d-1:9 follows d-1
      d-1 PRIMARY epoch 2/d-1 promised 2/d-1 log 2/d-1:9 acts
      e-1 STANDBY epoch - promised 2/d-1 log 2/d-1:9 follows d-1
