# A single node, made by 'baton init', starts for the first time: fenced, then primary under epoch 1, since
# there is nobody whose answer could be missing.
nodes east-1
k 0
fresh
write east-1
run 100
write east-1
run 400
show
rest
----
    1 east-1 START: FENCED -> FENCED
      RESUME
    1 east-1 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
    1 east-1 promo ORDER: IDLE -> ARMING
      ARM
    2 write 1: refused
    4 east-1 promo ARMED: ARMING -> OPENING
      OPEN epoch 1/east-1 resume
    5 east-1 OPENED: CANDIDATE -> CLOSED
    5 east-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 1/east-1
    6 east-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
    6 east-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
  103 write 2: acknowledged
  500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:4 acts
  500 at rest
