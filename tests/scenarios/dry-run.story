# A dry run looks and touches nothing; nobody else can tell that it was there.
nodes east-1 east-2 west-1
promote west-1 dry-run
run 500
promote west-1 dry-run connectors-fail
run 500
show
----
    0 west-1 promo ORDER: IDLE -> ASKING
      ASK east-1
      ASK east-2
    4 west-1 promo ANSWER east-2: ASKING -> DONE
      FINISHED
  500 west-1 promo ORDER: DONE -> ASKING
      ASK east-1
      ASK east-2
  504 west-1 promo ANSWER east-2: ASKING -> FAILED
      FINISHED
      because: check 'connectors': a connector server does not answer from here
 1000
      east-1 PRIMARY epoch 1/east-1 promised 1/east-1 log 1/east-1:3 acts
      east-2 STANDBY epoch - promised 1/east-1 log 1/east-1:3 follows east-1
      west-1 STANDBY epoch - promised 1/east-1 log 1/east-1:3 follows east-1
