# Two of three are out of reach: one member cannot hold every acknowledged write. Refused, nothing
# changes. Nor can anybody override it by the name of the check.
nodes east-1 east-2 west-1
crash east-1
crash east-2
promote west-1
run 500
promote west-1 override quorum
run 500
show
----
    0 east-1 crashes: both
    0 east-2 crashes: both
    0 west-1 BEGIN: STANDBY -> CANDIDATE
    0 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
    4 west-1 promo ANSWER east-2 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': answering: 1 of 3 members, needed to hold every acknowledged write: 2
    4 west-1 FAILED: CANDIDATE -> STANDBY
  500 west-1 BEGIN: STANDBY -> CANDIDATE
  500 west-1 promo ORDER: FAILED -> ASKING
      ASK east-1
      ASK east-2
  504 west-1 promo ANSWER east-2 not ok: ASKING -> FAILED
      FINISHED
      because: check 'quorum': answering: 1 of 3 members, needed to hold every acknowledged write: 2
  504 west-1 FAILED: CANDIDATE -> STANDBY
 1000
      east-1 (daemon down) (database down) epoch 1/east-1 promised 1/east-1 log 1/east-1:3
      east-2 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:3
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:3 follows east-1
