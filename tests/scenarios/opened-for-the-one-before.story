# East-2's PostgreSQL stands still over OPEN, so the promotion to epoch 2 fails, and another one begins. PostgreSQL goes on
# while that one asks: now it says that it has taken epoch 2. That is no answer to the second promotion, though until it has
# chosen an epoch it has that of the first. Else east-2 would hold epoch 3, and call itself primary of epoch 2 for good.
nodes east-1 east-2
connectors
takeover manual manual
quiet write
run 2000
power-off east-1
on east-2 OPENING stop east-2 database
promote east-2 accept-data-loss override freeze
run 4010
promote east-2 accept-data-loss override freeze
run 10
continue east-2 database
run 3000
power-on east-1
run 5000
show
rest
----
    3 east-1 uses its server: done
 2000 east-1 crashes: both
 2000 east-2 BEGIN: STANDBY -> CANDIDATE
 2000 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
 3000 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
 3001 east-2 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 3007 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
 3007 east-2 stands still: database
 6007 east-2 promo TIMEOUT: OPENING -> FAILED
      FINISHED
      because: OPENING took longer than 3000 ms
 6007 east-2 FAILED: CANDIDATE -> FENCED
      FENCE_DATABASE
 6010 east-2 BEGIN: FENCED -> CANDIDATE
      ATTACH_END
 6010 east-2 promo ORDER: FAILED -> ASKING
      ASK east-1
 6020 east-2 goes on: database
 7010 east-2 promo ANSWER east-1 not ok: ASKING -> CAPTURING
      CAPTURE east-1 epoch 3/east-2
      CAPTURE east-2 epoch 3/east-2
 7011 east-2 promo CAPTURED east-2: CAPTURING -> ARMING
      DETACH
      ARM remake
 7017 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 3/east-2
 7018 east-2 OPENED: CANDIDATE -> CLOSED
 7018 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 3/east-2
      FOLLOW east-1 epoch 3/east-2
 7019 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> DONE
      WRITES_OPEN
      ACTIVATE
      FINISHED
 7019 east-2 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 7042 east-2 uses its server: done
 9020 east-1 has power again
 9020 east-1 starts: both
 9025 east-1 HEARD: FENCED -> REJOINING
      ATTACH east-2 epoch 3/east-2
 9072 east-1 ATTACHED: REJOINING -> STANDBY
 9093 the outside refuses what east-1 does
 9095 east-1 gives its server up: refused
 9446 east-2 records the sync set: both, old and k=1 of 0x3, fewer than were promised
 9946 east-2 names k=1 of 0x3
10446 east-2 records the sync set: both, acknowledged by k=1 of 0x3, fewer than were promised
10946 east-2 records the sync set: only k=1 of 0x3
14020
      east-1 STANDBY epoch 1/east-1 promised 3/east-2 log 3/east-2:8 follows east-2
      east-2 PRIMARY epoch 3/east-2 promised 3/east-2 log 3/east-2:8 acts
14020 at rest
