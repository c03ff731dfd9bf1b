# Five voters, k=2. Write 1 reaches e-1 alone, so it is not acknowledged. d-1 opens epoch 2 without it,
# writes the first row and dies. c-1 promised epoch 2 and refuses the row of epoch 1; as candidate of
# epoch 3 it pulls that row from e-1, the furthest that it captured. Its own subscription to a-1 must be
# gone by then: the row would come again, as one that is there already, and a-1 would count it as the
# second acknowledgement, although the log of d-1, without it, would win a later promotion.
nodes a-1 b-1 c-1 d-1 e-1
k 2
quiet node
cut a-1 b-1 https
cut a-1 c-1 https
cut a-1 d-1 https
cut a-1 e-1 https
cut d-1 e-1 https
hold a-1 b-1
hold a-1 c-1
hold a-1 d-1
write a-1 direct
run 100
on d-1 OPENING cut d-1 b-1
on d-1 OPENING cut d-1 c-1
promote d-1
run 2500
crash d-1
release a-1 c-1
on c-1 ARMING cut c-1 b-1
on c-1 ARMING cut c-1 e-1
promote c-1
run 3000
show
----
  100 d-1 promo ORDER: IDLE -> ASKING
      ASK a-1
      ASK b-1
      ASK c-1
      ASK e-1
 1100 d-1 promo ANSWER e-1 not ok: ASKING -> CAPTURING
      CAPTURE a-1 epoch 2/d-1
      CAPTURE b-1 epoch 2/d-1
      CAPTURE c-1 epoch 2/d-1
      CAPTURE d-1 epoch 2/d-1
      CAPTURE e-1 epoch 2/d-1
 1105 d-1 promo CAPTURED c-1: CAPTURING -> ARMING
      DETACH
      ARM remake
 1120 d-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/d-1
 1121 d-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/d-1
      FOLLOW a-1 epoch 2/d-1
      FOLLOW b-1 epoch 2/d-1
      FOLLOW c-1 epoch 2/d-1
      FOLLOW e-1 epoch 2/d-1
 2600 d-1 crashes: both
 2600 c-1 promo ORDER: IDLE -> ASKING
      ASK a-1
      ASK b-1
      ASK d-1
      ASK e-1
 3600 c-1 promo ANSWER d-1 not ok: ASKING -> CAPTURING
      CAPTURE a-1 epoch 3/c-1
      CAPTURE b-1 epoch 3/c-1
      CAPTURE c-1 epoch 3/c-1
      CAPTURE d-1 epoch 3/c-1
      CAPTURE e-1 epoch 3/c-1
 3605 c-1 promo CAPTURED e-1: CAPTURING -> CATCHING_UP
      PULL e-1
 3619 c-1 promo PULLED: CATCHING_UP -> ARMING
      DETACH
      ARM remake
 3634 c-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/c-1
 3635 c-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/c-1
      FOLLOW a-1 epoch 3/c-1
      FOLLOW b-1 epoch 3/c-1
      FOLLOW d-1 epoch 3/c-1
      FOLLOW e-1 epoch 3/c-1
 5600
      a-1 PRIMARY epoch 1/a-1 promised 1/a-1 log 1/a-1:3 acts
      b-1 FENCED epoch - promised 3/c-1 log 1/a-1:3
      c-1 CLOSED epoch 3/c-1 promised 3/c-1 log 1/a-1:4
      d-1 (daemon down) (database down) epoch 2/d-1 promised 2/d-1 log 2/d-1:4
      e-1 FENCED epoch - promised 3/c-1 log 1/a-1:4
