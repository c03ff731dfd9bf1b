# Durability is async: only the primary knows what it has acknowledged. west-1 takes over from east-1 and
# acknowledges a write alone. East-1, which has promised epoch 2 and not seen a row of it, is no proof for
# anybody that nothing was written since: east-2 must not become primary without taking the loss on.
nodes east-1 east-2 west-1
k 0
quiet node
cut east-2 west-1
on west-1 OPENING cut east-1 west-1
promote west-1 override streaming
run 2500
write west-1
run 100
show
promote east-2
run 3000
show
----
    0 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
 1000 west-1 promo ANSWER east-2 not ok: ASKING -> ARMING
      ARM remake
 1009 west-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-1
 1045 west-1 promo PREPARED east-1: PREPARING -> FREEZING
      FREEZE east-1 epoch 2/west-1
 1050 west-1 promo FROZEN: FREEZING -> CAPTURING
      CAPTURE east-1 epoch 2/west-1
      CAPTURE east-2 epoch 2/west-1
      CAPTURE west-1 epoch 2/west-1
 1055 west-1 promo CAPTURED east-1: CAPTURING -> OPENING
      OPEN epoch 2/west-1
 1056 west-1 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/west-1
      FOLLOW east-2 epoch 2/west-1
 1057 west-1 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      FOLLOW east-1 epoch 2/west-1
      RELEASE east-1
 2503 write 1: acknowledged
 2600
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:3 follows east-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5
 2600 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 3057 west-1 promo RELEASED not ok: RELEASING -> DONE
      ACTIVATE
      FINISHED
 3600 east-2 promo ANSWER west-1 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': durability is async: only a primary knows what it has acknowledged, and not every voter that may have been primary since epoch 1/east-1 answers
 5600
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 1/east-1:3
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:3 follows east-1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
