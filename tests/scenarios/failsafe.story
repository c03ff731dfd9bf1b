# The arbiter is gone. As long as all members say that they follow it, the primary goes on; when one is
# missing as well, it fences itself at its deadline. When the arbiter is back it shows a lease that is over
# and nobody meets a primary: east-2 takes over.
nodes east-1 east-2 west-1
arbiter witness
quiet act node
run 1500
arbiter 1 off
run 8000
show
power-off west-1
run 7000
show
arbiter 1 on
power-on west-1
run 5000
show
rest
----
  951 east-1 lease CONFIRM: WAITING -> HELD (holds the lease of epoch 1/east-1)
 1500 arbiter 1 is down
 2943 east-1 lease REPLY UNCLEAR: HELD -> FAILSAFE (the arbiter is not heard (the arbiter did not answer in time), and all members follow epoch 1/east-1)
 9500
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:4 acts lease FAILSAFE
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
 9500 west-1 crashes: both
13443 east-1 lease TICK: FAILSAFE -> LOST (the arbiter is not heard, and not all members have said that they follow us)
13444 east-1 lease CLOSE: LOST -> IDLE (nothing to hold here)
13444 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
13445 east-1 lease CLOSE: WANTED -> IDLE (nothing to hold here)
13934 east-1 lease WANT: IDLE -> WANTED (asking for the lease of epoch 1/east-1)
16500
      east-1 FENCED epoch 1/east-1 promised 1/east-1 log 1/east-1:4 lease WANTED
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:4 follows east-1 lease IDLE
      west-1 (daemon down) (database down) epoch - promised 1/east-1 log 1/east-1:4 lease IDLE
16500 arbiter 1 starts
16500 west-1 has power again
16500 west-1 starts: both
16738 east-2 takes over by itself: its lease is over, and nobody meets it as primary, for 2.8 s
16738 east-2 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK west-1
16742 east-2 promo ANSWER west-1: ASKING -> CAPTURING
      CAPTURE east-1 epoch 2/east-2
      CAPTURE east-2 epoch 2/east-2
      CAPTURE west-1 epoch 2/east-2
16745 east-1 lease CLOSE: WANTED -> IDLE (nothing to hold here)
16747 east-2 promo CAPTURED east-1: CAPTURING -> ARMING
      DETACH
      ARM remake
16756 east-2 promo ARMED: ARMING -> OPENING
      OPEN epoch 2/east-2
16758 east-2 lease WANT: IDLE -> WANTED (asking for the lease of epoch 2/east-2)
16758 east-2 promo OPENED: OPENING -> ACKNOWLEDGING
      FIRST_ROW epoch 2/east-2
      FOLLOW east-1 epoch 2/east-2
      FOLLOW west-1 epoch 2/east-2
16766 east-2 lease REPLY GRANTED: WANTED -> WAITING (has the lease of epoch 2/east-2; who acted before has not said that he stopped)
16780 east-2 promo ACKNOWLEDGED: ACKNOWLEDGING -> RELEASING
      WRITES_OPEN
      RELEASE east-1
16784 east-2 lease PROVED: WAITING -> HELD (holds the lease of epoch 2/east-2)
16784 east-2 promo RELEASED: RELEASING -> DONE
      ACTIVATE
      FINISHED
21500
      east-1 STANDBY epoch 1/east-1 promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
      east-2 PRIMARY epoch 2/east-2 promised 2/east-2 log 2/east-2:6 acts lease HELD
      west-1 STANDBY epoch - promised 2/east-2 log 2/east-2:6 follows east-2 lease IDLE
21500 at rest
