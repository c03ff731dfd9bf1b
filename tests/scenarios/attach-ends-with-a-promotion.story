# With k = 0 a person took loss on: east-2 is primary, and east-1 comes back with a row of its own. While it attaches, another person
# promotes it. The attach must not go on below that: once the row is set aside it would drop all slots, those that the promotion
# has just made, too, and the first row of the epoch would be written without them (I12).
nodes east-1 east-2 west-1
k 0
quiet write
run 100
cut east-1 east-2
cut east-1 west-1
write east-1
run 100
promote east-2 accept-data-loss
run 3000
on east-1 REJOINING promote east-1 override streaming
heal
run 6000
show
rest
----
  200 east-2 BEGIN: STANDBY -> CANDIDATE
  200 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
 1200 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
 1203 west-1 CAPTURED: STANDBY -> FENCED
 2200 east-2 promo TIMEOUT: CAPTURING -> ARMING
      DETACH
      ARM remake
 2209 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 2210 east-2 OPENED: CANDIDATE -> CLOSED
 2210 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
 2211 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 2211 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 2212 west-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 2259 west-1 ATTACHED: REJOINING -> STANDBY
 3940 east-1 HEARD: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 3941 east-1 FENCED: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 3941 east-1 BEGIN: REJOINING -> CANDIDATE
      ATTACH_END
 3941 east-1 promo ORDER: DONE -> ASKING
      ASK east-2
      ASK west-1
 3945 east-1 promo ANSWER west-1: ASKING -> ARMING
      ARM remake
 3954 east-1 promo ARMED: ARMING -> PREPARING
      PREPARE east-2
      PREPARE west-1
 3990 east-1 promo PREPARED west-1: PREPARING -> FREEZING
      FREEZE east-2 epoch 3/east-1
 3992 east-2 FREEZE: PRIMARY -> DRAINING
      WRITES_HOLD
      FREEZE_DATABASE
 3995 east-1 promo FROZEN: FREEZING -> DRAINING
 4995 east-1 promo TIMEOUT: DRAINING -> THAWING
      THAW east-2
 4997 east-2 THAW: DRAINING -> DRAINING
      THAW_DATABASE epoch 2/east-2
 4998 east-2 REOPENED: DRAINING -> PRIMARY
      WRITES_OPEN
 4999 east-1 promo THAWED: THAWING -> FAILED
      FINISHED
      because: revision 4 of east-2 did not arrive in time, 4 is here
 4999 east-1 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 5499 east-1 TICK: FENCED -> REJOINING
      ATTACH east-2 epoch 2/east-2
 5512 east-1 sets 1 rows aside, above revision 3
 5555 east-1 ATTACHED: REJOINING -> STANDBY
 9200
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:4 follows east-2 set aside 1
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:4 acts
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:4 follows east-2
 9200 at rest
