# B-1 changes the sync set from {a-1, b-1, c-1} to {b-1, d-1, e-1}. The record that makes both count waits
# for one of the old set, and both are out of reach. A late candidate's refused capture ends that wait:
# the record is in the log of b-1, and nobody of the old set has seen it. B-1 must not ask the new set for
# acknowledgements before the old one knows, or a capture of {a-1, c-1} would miss them.
nodes a-1 b-1 c-1 d-1 e-1
voters a-1 b-1 c-1
quiet node promo
crash a-1
promote b-1
run 3000
cut a-1 b-1
cut a-1 c-1
cut a-1 d-1
cut a-1 e-1
start a-1
hold b-1 c-1
hold b-1 a-1
want 1 b-1 d-1 e-1
run 1000
promote a-1 accept-data-loss
at 4999 heal
at 5000 hold b-1 c-1
at 5006 cut a-1 b-1
run 4000
write b-1
run 1000
show
heal
run 5000
rest
----
    0 a-1 crashes: both
 3000 a-1 starts: both
 3437 b-1 records the sync set: both, old and k=1 of 0x1a
 5437 b-1 records the sync set: both, old and k=1 of 0x1a
 9000
      a-1 FENCED epoch 1/a-1 promised 2/a-1 log 1/a-1:3
      b-1 PRIMARY epoch 2/b-1 promised 2/b-1 log 2/b-1:5 acts
      c-1 STANDBY epoch - promised 2/b-1 log 2/b-1:4 follows b-1
      d-1 STANDBY epoch - promised 2/b-1 log 2/b-1:6 follows b-1
      e-1 STANDBY epoch - promised 2/b-1 log 2/b-1:6 follows b-1
 9099 write 1: acknowledged
 9437 b-1 names k=1 of 0x1a
 9937 b-1 records the sync set: both, acknowledged by k=1 of 0x1a
10437 b-1 records the sync set: only k=1 of 0x1a
14000 at rest
