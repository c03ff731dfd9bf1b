# East-1 alone is the sync set; somebody promotes west-1 all the same and takes the loss on. When they meet,
# east-1 sets its write aside for epoch 2, and before any row of epoch 2 reaches it, it loses sight of west-1
# and restarts. Nobody's word is needed for its own epoch 1, but it has given rows of it up for epoch 2, and
# that is a promise: it stays fenced. Else it would write the same revision of epoch 1 a second time.
nodes east-1 west-1
voters east-1
k 0
quiet promo
cut east-1 west-1
promote west-1 accept-data-loss
run 3000
write east-1
write west-1
run 900
heal
at 3961 cut east-1 west-1
run 200
crash east-1
start east-1
run 1000
write east-1 direct
run 100
show
heal
run 4000
rest
----
    0 west-1 BEGIN: STANDBY -> CANDIDATE
 2007 west-1 OPENED: CANDIDATE -> CLOSED
 2008 west-1 ACKED: CLOSED -> PRIMARY
      WRITES_OPEN
 3003 write 1: acknowledged
 3003 write 2: acknowledged
 3947 east-1 HEARD: PRIMARY -> FENCED
      FENCE_DATABASE
      WRITES_HOLD
      DEACTIVATE
 3948 east-1 FENCED: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 3961 east-1 sets 1 rows aside, above revision 3
 4100 east-1 crashes: both
 4100 east-1 starts: both
 5103 write 3: refused
 5200
      east-1 FENCED epoch 1/east-1 promised 2/west-1 log 1/east-1:3 set aside 1
      west-1 PRIMARY epoch 2/west-1 promised 2/west-1 log 2/west-1:5 acts
 5355 east-1 HEARD: FENCED -> REJOINING
      ATTACH west-1 epoch 2/west-1
 5402 east-1 ATTACHED: REJOINING -> STANDBY
 9200 at rest
