/*
 * The commit protocol (docs/commit-protocol.md), small enough to try every order of events.
 *
 * One output of two Redis keys. Run 0 is delivered twice (attempts 0 and 1), run 1 once (attempt 2). Attempts die at any
 * step, Redis is emptied at any moment, a reader looks at any moment. With -DFAILOVER, Postgres forgets its last
 * transaction at any moment (an asynchronous standby takes over) and nobody notices before the next sweep.
 *
 * A claim may come while the owner of the run is still at work: that is the reaper's error about a paused worker, and
 * its move back to `queued` is part of the claim here. So every attempt may turn out to be a zombie, arbitrarily late.
 *
 * Contents are numbers: attempt a writes a + 1; OLD is the good generation that was there before.
 *
 * Broken twins, each of which tests/model/run must see caught:
 *   NO_FENCE       an attempt decides without asking who owns the run
 *   REDIS_FIRST    the output is written before Postgres decides
 *   NO_SEQ         the script does not compare (epoch, seq)
 *   TORN           the two keys are not swapped in one step
 *   NO_RECONCILER  nobody sweeps
 *   NO_EPOCH       the epoch does not rise when Postgres was replaced (with FAILOVER)
 *   COUNTER        the fence, and with it the staging's name, is a counter and not a random id (with FAILOVER)
 */
#ifndef CRASHES
#define CRASHES 2
#endif

#define RUN (me / 2)
#define CONTENT (me + 1)
#define OLD 0
#define HALF 6    /* in a staging key that is still being written */
#define NOTHING 7 /* in an emptied Redis */

#define QUEUED 0
#define RUNNING 1
#define COMMITTED 2

#ifdef COUNTER
#define FENCE number
#define STAGING (RUN * 4 + number)
#else
#define FENCE (me + 1)
#define STAGING me
#endif
#define NO_STAGING 8 /* of the generation that was there before: its staging became the live key */

/* Postgres */
byte seq = 1;
byte decided = OLD; /* the copy in Postgres of what was decided last */
byte decided_in = NO_STAGING;
byte owner;
byte run_state[2];
byte run_owner[2];
byte commits[2];
bool was_decided[8];
#ifdef COUNTER
byte claims;
#endif

#ifdef FAILOVER
byte epoch = 1;
bool replaced; /* Postgres, by a standby, and nobody has noticed yet */
/* before its last claim or decision */
bool remembers;
byte old_seq, old_decided, old_decided_in, old_owner;
byte old_run_state[2], old_run_owner[2], old_commits[2];
#ifdef COUNTER
byte old_claims;
#endif
#else
#define epoch 1
#endif

/* Redis */
bool staged[9];
byte content[9];
byte live_a = OLD;
byte live_b = OLD;
byte live_epoch = 1; /* the marker {o:ID}:applied */
byte live_seq = 1;

byte crashes;
byte over; /* attempts and the bringer of faults that have ended */

#ifdef FAILOVER
inline remember() {
    remembers = true;
    old_seq = seq;
    old_decided = decided;
    old_decided_in = decided_in;
    old_owner = owner;
    old_run_state[0] = run_state[0];
    old_run_state[1] = run_state[1];
    old_run_owner[0] = run_owner[0];
    old_run_owner[1] = run_owner[1];
    old_commits[0] = commits[0];
    old_commits[1] = commits[1];
#ifdef COUNTER
    old_claims = claims
#endif
}

inline forget() {
    seq = old_seq;
    decided = old_decided;
    decided_in = old_decided_in;
    owner = old_owner;
    run_state[0] = old_run_state[0];
    run_state[1] = old_run_state[1];
    run_owner[0] = old_run_owner[0];
    run_owner[1] = old_run_owner[1];
    commits[0] = old_commits[0];
    commits[1] = old_commits[1];
#ifdef COUNTER
    claims = old_claims;
#endif
    replaced = true
}
#else
inline remember() { skip }
#endif

/* Every step may be the one before which the process dies. The step itself then begins with `true`: an `else` within it
   would otherwise count as an `else` of this choice, and be taken only when nobody may die any more. */
#define MAY_DIE :: atomic { crashes < CRASHES -> crashes++; goto ended }

#define LATER(e, s) (e > live_epoch || (e == live_epoch && s > live_seq))
#ifdef NO_SEQ
#define APPLIES(e, s) true
#else
#define APPLIES(e, s) LATER(e, s)
#endif
#ifdef TORN
#define SCRIPT
#else
#define SCRIPT atomic
#endif

inline swap(e, s, what) {
    assert(LATER(e, s) || (e == live_epoch && s == live_seq)); /* never backwards */
    live_a = what;
    live_b = what;
    live_epoch = e;
    live_seq = s
}

/* What anybody may do at any time: read what Postgres decided last, then call the script. The staging is gone after a
   RENAME, or with an emptied Redis: then the script answers NOSTAGE, and is called again with the copy of Postgres. */
inline publish() {
    d_step { e = epoch; s = seq; from = decided_in; copy = decided }
    SCRIPT {
        if
        :: APPLIES(e, s) && staged[from] -> swap(e, s, content[from]); staged[from] = false; s = 0
        :: APPLIES(e, s) && !staged[from] -> from = 0
        :: !APPLIES(e, s) -> s = 0
        fi
    }
    SCRIPT {
        if
        :: s != 0 && APPLIES(e, s) -> swap(e, s, copy)
        :: !(s != 0 && APPLIES(e, s))
        fi;
        e = 0;
        s = 0;
        from = 0;
        copy = 0
    }
}

proctype Attempt(byte me) {
    byte e, s, from, copy;
#ifdef COUNTER
    byte number;
#endif

    if
    MAY_DIE       /* K1 */
    :: atomic {   /* claim */
        true;
        if
        :: run_state[RUN] == COMMITTED -> goto visible
        :: else ->
            remember();
#ifdef COUNTER
            claims++;
            number = claims;
#endif
            owner = FENCE;
            run_owner[RUN] = FENCE;
            run_state[RUN] = RUNNING
        fi
    }
    fi;
    if
    MAY_DIE /* K3, K4, K5 */
    :: d_step { staged[STAGING] = true; content[STAGING] = HALF }
    fi;
    if
    MAY_DIE       /* K6 */
    :: atomic {   /* seal: counted again in Redis, copied to Postgres */
        true;
        if
        :: staged[STAGING] -> content[STAGING] = CONTENT
        :: else -> goto fenced /* Redis lost it: the attempt fails */
        fi
    }
    fi;
#ifdef REDIS_FIRST
    if
    MAY_DIE
    :: atomic {
        true;
        if
        :: APPLIES(epoch, seq + 1) && staged[STAGING] -> swap(epoch, seq + 1, content[STAGING])
        :: else
        fi
    }
    fi;
#endif
decide:
    if
    MAY_DIE /* K7, K8, K10 */
    :: atomic {
        true;
        if
#ifdef NO_FENCE
        :: true ->
#else
        :: owner == FENCE && run_owner[RUN] == FENCE && run_state[RUN] == RUNNING ->
#endif
            remember();
            run_state[RUN] = COMMITTED;
            commits[RUN]++;
            assert(commits[RUN] <= 1); /* a run decides once */
            seq++;
            decided = CONTENT;
            decided_in = STAGING;
            was_decided[CONTENT] = true
#ifndef NO_FENCE
        :: else -> goto fenced
#endif
        fi
    }
    fi;
#ifdef FAILOVER
    /* The answer to COMMIT came, or it was lost: then the verdict, under the row lock. Without a failover the verdict
       cannot be another one than the answer: the run is committed, by me. */
    if
    :: true
    MAY_DIE
    :: atomic {
        true;
        if
        :: run_state[RUN] == COMMITTED && run_owner[RUN] == FENCE
        :: run_state[RUN] == RUNNING && run_owner[RUN] == FENCE -> goto decide
        :: else -> goto fenced
        fi
    }
    fi;
#endif
visible:
#ifndef REDIS_FIRST
    if
    MAY_DIE /* K11, K12; dying within or after is as good as never having begun, or as being done */
    :: true -> publish()
    fi;
#endif
    goto ended;
fenced:
    staged[STAGING] = false; /* throws its own staging away */
ended:
    atomic {
#ifdef COUNTER
        number = 0;
#endif
        over++
    }
}

proctype Faults() {
    byte i;
    if
    :: true
    :: d_step {
        live_a = NOTHING;
        live_b = NOTHING;
        live_epoch = 0;
        live_seq = 0;
        for (i : 0 .. 8) { staged[i] = false; content[i] = 0 }
        i = 0
    }
    fi;
#ifdef FAILOVER
    if
    :: true
    :: d_step { remembers -> forget() }
    fi;
#endif
    over++
}

inline sweep() {
#if defined(FAILOVER) && !defined(NO_EPOCH)
    d_step {
        if
        :: replaced -> replaced = false; epoch++
        :: else
        fi
    }
#endif
    publish()
}

proctype Reconciler() {
    byte e, s, from, copy;
    sweep(); /* at any moment */
    over == 4;
#ifndef NO_RECONCILER
    sweep(); /* and after everything */
#endif
    assert(live_a == decided && live_b == decided) /* Redis shows what Postgres decided last */
}

/* Looks all the time; leaves no trace. */
proctype Reader() {
end:
    do
    :: atomic {
        !(live_a == live_b && (live_a == NOTHING || was_decided[live_a])) ->
            assert(live_a == live_b);                        /* never a mixture */
            assert(live_a == NOTHING || was_decided[live_a]) /* never what nobody decided */
    }
    od
}

init {
    atomic {
        was_decided[OLD] = true;
        run Attempt(0);
        run Attempt(1);
        run Attempt(2);
        run Faults();
        run Reconciler();
        run Reader()
    }
}
