/*
 * lease.pml -- two nodes, one arbiter: may two act on the outside at once? (I9 of docs/protocol.md)
 *
 * What sites/lease.c decides, cut down to what this question needs; README.md says what is left out.
 * Time is what is left of each span, so it has no end here. How fast clocks run is in the spans: who
 * may act stops DRIFT late, who waits goes on DRIFT early. Messages take any time, or are lost; a
 * node that does not run takes no step.
 *
 * Each M_... breaks one rule, and each R_... denies what has to happen: spin has to find both.
 * tests/model/test_model.py says with which bounds.
 */
#define TTL   3
#define DRIFT 1 /* of a lease, either way */
#define GUARD (2 * DRIFT)

/* How often each of these may happen. */
#ifndef PROMOTIONS
#define PROMOTIONS 1
#endif
#ifndef EARLY
#define EARLY 0 /* the arbiter ends a lease before its time */
#endif
#ifndef RESTORES
#define RESTORES 0 /* it is put back from a copy */
#endif
#ifndef CRASHES
#define CRASHES 0 /* of a daemon; its keeper lives */
#endif
#ifndef RESUMES
#define RESUMES 0 /* a holder that gave up, or crashed, goes on under its epoch */
#endif
#ifndef WORDS
#define WORDS 0 /* 1: failsafe, by the other's word */
#endif

#ifdef M_NOGUARD
#define SPAN (TTL + DRIFT)
#else
#define SPAN (TTL - GUARD + DRIFT) /* of a permission, from the question on */
#endif
#define WAIT (TTL - DRIFT)

#ifdef M_LATERELEASE
#define IS_GONE(me) false
#else
#define IS_GONE(me) (want[me] == gone[me]) /* the RELEASE may still be carried out */
#endif

#define OTHER     (1 - me)
#define IS_CONFIRMED(epoch) ((epoch) >= promised[OTHER] || (epoch) >= third)
#define MAX(a, b) ((a) > (b) -> (a) : (b))

byte promotions = 0, early = 0, restores = 0, crashes = 0, resumes = 0;

/* Epochs are 2 * number + holder: ordered as the pairs are. 0 is none. */

/* the arbiter's record; 'clean': the epoch before this one had been released */
byte epoch = 2, end = TTL;
bool released = false, clean = true;
byte copy_epoch = 0;
bool copy_released = false, copy_clean = false;

/* of each node: kept in a crash; the third one only votes, and two of three are a quorum */
byte third = 2;
byte promised[2] = 2, opened[2], cleared[2];
/* not kept */
byte want[2];      /* the epoch that is held or wanted; 0 for none */
byte before[2];    /* the latest that was known before it */
bool granted[2];   /* by the arbiter, once */
byte last[2];      /* who could act last before it */
byte wait[2];      /* until he cannot any more by the arbiter */
byte sworn[2];     /* as long as the word holds that was given */
byte gone[2];      /* the epoch that this life sent a RELEASE for */
byte releasing[2]; /* the epoch of a RELEASE that is on its way; its grant is the last one */
byte seen[2];      /* the latest epoch that the record showed */
byte fresh[2];     /* so long the peers' word counts that the epoch may go on */
bool held[2];      /* may act */
byte left[2];      /* until the deadline */
byte busy[2];      /* what was begun ends by this at the latest; 0: nothing acts */
byte asked[2];     /* the epoch of the question that is out; 0 for none */
byte age[2];       /* of that question */

#define NEVER_TWO assert(busy[0] == 0 || busy[1] == 0)

inline permit(me)
{
#ifdef R_BOTH
    assert(cleared[OTHER] == 0)
#endif
#ifdef R_AT_ONCE
    assert(!(me == 1 && clean && wait[1] == 0 && end == TTL))
#endif
    held[me] = true;
    busy[me] = left[me];
    cleared[me] = want[me];
    NEVER_TWO
}

inline give_up(me)
{
    want[me] = 0;
    before[me] = 0;
    last[me] = 0;
    granted[me] = false;
    wait[me] = 0;
    fresh[me] = 0;
    held[me] = false;
    left[me] = 0
}

/* Is everybody over who could act before? */
inline try_to_act(me)
{
#ifdef M_NOWAIT
    permit(me)
#else
    if
    :: held[me] -> permit(me)
#ifdef M_STALEWANT
    :: !held[me] && cleared[me] == want[me] -> permit(me)
#else
    :: !held[me] && cleared[me] == want[me] && fresh[me] > 0 -> permit(me)
#endif
#ifdef M_NOWORD
    :: !held[me] && wait[me] == 0 -> permit(me)
#else
    :: !held[me] && wait[me] == 0 && sworn[me] == 0 -> permit(me)
#endif
    :: else -> skip
    fi
#endif
}

/*
 * READ, then RENEW by who was granted it and has not let it run out, else ACQUIRE: one moment. 'over':
 * nobody is to be waited for. An ACQUIRE makes a RELEASE of the grant before it void; after a
 * restore the arbiter may count the same grant once more, so then it does not.
 */
inline grant(me, ok, over)
{
    if
    :: epoch < seen[me] -> skip /* it has forgotten: an alarm */
    :: epoch >= seen[me] && epoch > want[me] ->
        seen[me] = epoch;
        give_up(me) /* superseded: fenced */
    :: else ->
        if
        :: IS_GONE(me) -> skip
#ifdef M_REGRANT
        :: epoch == want[me] -> ok = true
#else
        :: epoch == want[me] && !released && !IS_GONE(me) -> ok = true
#endif
        :: epoch < want[me] && (released || end == 0) && !IS_GONE(me) ->
            ok = true;
            clean = released;
            last[me] = MAX(before[me], epoch);
            over = (clean && epoch >= before[me]) || last[me] == cleared[me]
        :: else -> skip
        fi;
#if !RESTORES && !defined(M_NOGRANT)
        if
        :: ok && (!granted[me] || end == 0) -> releasing[me] = 0
        :: else -> skip
        fi;
#endif
        if
        :: ok ->
            epoch = want[me];
            released = false;
            end = TTL
        :: else -> skip
        fi;
#if RESTORES
        seen[me] = epoch
#endif
    fi
}

/* A wait that was interrupted begins anew: nobody knows who had the lease in between. */
inline take_grant(me, over)
{
#ifdef M_RECEIVED
    age[me] = 0;
#endif
    if
    :: age[me] < SPAN ->
#ifdef M_OLDWAIT
        wait[me] = (granted[me] -> wait[me] : (over -> 0 : WAIT));
#else
        wait[me] = (left[me] > 0 -> wait[me] : (over -> 0 : WAIT));
#endif
        granted[me] = true;
        left[me] = SPAN - age[me];
        try_to_act(me)
    :: else -> skip /* so late that it is over */
    fi
}

inline promote(me)
{
    promotions++;
    give_up(me);
    if
    :: before[me] = MAX(promised[me], promised[OTHER]);
        promised[OTHER] = 2 * (before[me] / 2 + 1) + me;
        give_up(OTHER)
    :: before[me] = MAX(promised[me], third);
        third = 2 * (before[me] / 2 + 1) + me
    fi;
    promised[me] = 2 * (before[me] / 2 + 1) + me;
    opened[me] = promised[me];
    want[me] = promised[me]
}

/* What was begun has ended with the process, and its keeper releases the lease; or goes on in a
 * program that it had started, and then it does not. */
inline crash(me)
{
    crashes++;
    if
    :: busy[me] = 0;
        if
        :: granted[me] && held[me] -> releasing[me] = want[me]
        :: true -> skip
        fi
    :: busy[me] != 0 ->
#ifdef M_NOPROOF
        releasing[me] = want[me]
#else
        skip
#endif
    fi;
    give_up(me);
    gone[me] = 0;
#ifdef M_NOSTARTWORD
    sworn[me] = 0
#else
    sworn[me] = (WORDS -> WAIT : 0) /* nobody knows what was said before */
#endif
}

proctype node(byte me)
{
    bool ok, over;
    do
    :: atomic { promotions < PROMOTIONS -> promote(me) }
    :: atomic { crashes < CRASHES -> crash(me) }
    :: atomic {
            resumes < RESUMES && want[me] == 0 && opened[me] != 0 &&
            opened[me] == promised[me] && IS_CONFIRMED(opened[me]) ->
            resumes++;
            before[me] = 2 * (opened[me] / 2 - 1) + 1;
            want[me] = opened[me];
            fresh[me] = 1
        }
    :: atomic { want[me] != 0 && want[me] == cleared[me] && IS_CONFIRMED(want[me]) -> fresh[me] = 1 }
    :: atomic { want[me] != 0 -> age[me] = 0; asked[me] = want[me] };
        /* on its way: any time, or lost */
        atomic {
            if
            :: want[me] == asked[me] -> grant(me, ok, over)
            :: true -> skip
            fi
        };
        /* on its way back: any time, or lost */
        atomic {
            if
            :: ok && want[me] == asked[me] -> take_grant(me, over)
#ifdef M_UNCLEAR
            :: !ok && want[me] == asked[me] && held[me] ->
                left[me] = SPAN;
                permit(me)
#endif
            :: true -> skip
            fi;
            asked[me] = 0;
            age[me] = 0;
            over = false;
            ok = false
        }
#if WORDS
    :: atomic { want[me] != 0 -> age[me] = 0; asked[me] = want[me] };
        /* the other is asked for its word */
        atomic {
            if
            :: promised[OTHER] == asked[me] && busy[OTHER] == 0 ->
                sworn[OTHER] = WAIT;
                ok = true
#ifdef M_ANYWORD
            :: ok = true
#endif
            :: true -> skip /* it does not answer, or follows another */
            fi
        };
        atomic {
            if
#ifdef M_WORDRECEIVED
            :: ok && want[me] == asked[me] ->
                left[me] = SPAN;
                permit(me)
#else
            :: ok && want[me] == asked[me] && age[me] < SPAN ->
                left[me] = SPAN - age[me];
                permit(me)
#endif
            :: true -> skip
            fi;
            asked[me] = 0;
            age[me] = 0;
            ok = false
        }
#endif
    :: atomic { granted[me] && !held[me] && left[me] > 0 && wait[me] == 0 && sworn[me] == 0 ->
            try_to_act(me)
        }
    :: atomic { /* the last one is known to act no more, and never will under that epoch */
            granted[me] && !held[me] && promised[OTHER] == want[me] && busy[OTHER] == 0 &&
            cleared[OTHER] == last[me] ->
            wait[me] = 0;
            sworn[me] = 0
        }
    :: atomic { held[me] -> give_up(me) } /* a person, a database that is gone */
    :: atomic { busy[me] != 0 && !held[me] -> busy[me] = 0 } /* what acts has stopped */
#ifdef M_EARLYRELEASE
    :: atomic { !held[me] && want[me] == 0 && cleared[me] == opened[me] &&
#else
    :: atomic { busy[me] == 0 && want[me] == 0 && cleared[me] == opened[me] &&
#endif
            opened[me] != 0 && gone[me] != cleared[me] ->
            gone[me] = cleared[me];
            releasing[me] = cleared[me]
        }
    od
}

inline pass(me)
{
    left[me] = (left[me] > 0 -> left[me] - 1 : 0);
    sworn[me] = (sworn[me] > 0 -> sworn[me] - 1 : 0);
    wait[me] = (wait[me] > 0 -> wait[me] - 1 : 0);
    fresh[me] = 0;
    age[me] = (asked[me] == 0 -> 0 : (age[me] < SPAN -> age[me] + 1 : SPAN));
#ifndef M_WAKE
    busy[me] = (busy[me] > 0 -> busy[me] - 1 : 0);
    if
    :: left[me] == 0 && held[me] -> give_up(me)
    :: else -> skip
    fi
#endif
}

/* Time; the arbiter's faults; RELEASEs, whenever they come. */
proctype world()
{
    do
    :: atomic {
            end = (end > 0 -> end - 1 : 0);
            pass(0);
            pass(1)
        }
    :: atomic { early < EARLY && end > 0 -> early++; end = 0 }
#if RESTORES
    :: atomic { /* a lease of a copy has run out by the time that it is put back */
            copy_epoch == 0 ->
            copy_epoch = epoch;
            copy_released = released;
            copy_clean = clean
        }
    :: atomic {
            restores < RESTORES && copy_epoch != 0 ->
            restores++;
            epoch = copy_epoch;
            end = 0;
            released = copy_released;
            clean = copy_clean
        }
#endif
    :: atomic { releasing[0] != 0 ->
            released = released || epoch == releasing[0];
            releasing[0] = 0
        }
    :: atomic { releasing[1] != 0 ->
            released = released || epoch == releasing[1];
            releasing[1] = 0
        }
    od
}

init
{
    atomic { /* node 0 acts under its first epoch */
        opened[0] = 2;
        want[0] = 2;
        granted[0] = true;
        left[0] = SPAN;
        permit(0);
        run world();
        run node(0);
        run node(1)
    }
}
