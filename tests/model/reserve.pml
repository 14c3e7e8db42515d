/* Pins: carriers that are reserved for a pinned thread while it is parked, and the common queue.
 *
 * Stands for: core/pin.cpp reserve(), unreserve(), hand_over(), offer(), wake_for_common(), pins_look(); core/scheduler.cpp enqueue(), pick(),
 * pick_staying(); core/carrier.cpp run()'s idle protocol. Each carrier starts with a pinned thread of its own running on it, which parks, is
 * woken, and unpins; plain threads come into any queue meanwhile. A further carrier is started when somebody asks.
 * Proved: no plain thread runs on a reserved carrier, and when nothing moves any more all have run.
 * Left out: stealing, the ring, timers, carriers that leave; x86's store buffer (idle.pml has it: all stores here that others wait for are
 * seq_cst).
 *
 * config OWNERS=1: one carrier is pinned to, by a thread that isn't woken, the other is open
 * config OWNERS=2: both are pinned to, and perhaps nobody is open; one of the two is woken and unpins
 * bug OWNERS=1 NO_HAND_OVER (assertion): a reserved carrier leaves in its queue what was pushed in while it became reserved
 * bug OWNERS=1 NO_COMMON_LOOK (assertion): an open carrier goes to sleep without a look at the common queue
 * bug OWNERS=2 NO_LOOK_AFTER (assertion): who becomes reserved doesn't look at the common queue after that
 * bug OWNERS=1 PICK_ANY (assertion): a reserved carrier takes whoever is queued
 */
#define NC 3
#if OWNERS == 1
#undef NC
#define NC 2
#endif
byte plain[NC];      /* Carrier::queue: threads that can run anywhere */
bool owner[NC];      /* the carrier's pinned thread is in it */
bool reserved[NC], idle[NC], event[NC], runs[NC];
bool parked[NC];     /* the pinned thread may be woken */
byte common;
byte to_run;
bool requested;

inline carrier_wake(to) {
  if
  :: atomic { idle[to] -> idle[to] = false }
     event[to] = true
  :: else
  fi
}

/* One look at each carrier. */
inline wake_for_common(i, open) {
  do
  :: atomic { i < NC && (!runs[i] || reserved[i]) -> i++ }
  :: atomic { i < NC && runs[i] && !reserved[i] && !idle[i] -> open = 1; i++ }
  :: atomic { i < NC && runs[i] && !reserved[i] && idle[i] -> open = 2 }
     carrier_wake(i);
     break
  :: atomic { i == NC -> break }
  od;
  atomic {
    if
    :: !open -> requested = true
    :: else
    fi;
    i = 0; open = 0
  }
}

inline hand_over(c, i, n) {
  atomic { n = plain[c]; plain[c] = 0 }  /* move_to(): out under the one lock, in under the other */
  atomic { common = common + n; n = 0 }
#ifndef NO_LOOK_AFTER
  if
  :: common -> wake_for_common(i, n)
  :: else
  fi
#endif
}

proctype Carrier(byte c; bool pins) {
  byte i, n;
  bool ran;
  if
  :: pins -> goto owner_runs
  :: else
  fi;
again:
  ran = false;
  if
  :: reserved[c] ->
#ifdef PICK_ANY
     atomic { if :: plain[c] -> plain[c]--; ran = true :: else fi }
     if :: ran -> goto run_it :: else fi;
#endif
     atomic { if :: owner[c] -> owner[c] = false; ran = true :: else fi }
#ifndef NO_HAND_OVER
     hand_over(c, i, n);
#endif
     if
     :: ran -> reserved[c] = false; pins = false; goto again  /* it goes on there, and unpins */
     :: else
     fi
  :: else ->
     atomic { if :: common -> common--; plain[c]++ :: else fi }
     atomic { if :: plain[c] -> plain[c]--; ran = true :: else fi }
     if :: ran -> goto run_it :: else fi
  fi;
  idle[c] = true;
  if
#ifdef NO_HAND_OVER
  :: owner[c] || (plain[c] && !reserved[c]) -> goto no_sleep  /* else it would spin */
#else
  :: owner[c] || plain[c] -> goto no_sleep
#endif
  :: else
  fi;
#ifndef NO_COMMON_LOOK
  if
  :: common && !reserved[c] -> goto no_sleep
  :: else
  fi;
#endif
end:
  atomic { event[c] -> event[c] = false }
no_sleep:
  idle[c] = false;
  goto again;

run_it:
  assert(!reserved[c]);
  atomic { to_run--; ran = false }
  goto again;

owner_runs:  /* leave(): on its own stack still */
  reserved[c] = true;
  hand_over(c, i, n);
  parked[c] = true;
  goto again
}

/* enqueue() of a plain thread, on a platform thread. */
proctype Waker(byte to) {
  byte i, n;
  if
  :: reserved[to] -> common++; wake_for_common(i, n)
  :: else ->
     plain[to]++;
     carrier_wake(to)
  fi
}

proctype WakeOwner(byte to) {
  parked[to];
  owner[to] = true;
  carrier_wake(to)
}

proctype Monitor() {
end:
  atomic { requested -> requested = false; runs[NC - 1] = true }
#if OWNERS == 2
  run Carrier(NC - 1, false);
#endif
again:
end_again:
  atomic { requested -> requested = false }
  goto again
}

init {
  atomic {
    runs[0] = true; runs[1] = true; to_run = (OWNERS == 1 -> 2 : 1);
    run Carrier(0, true);
    run Carrier(1, (OWNERS == 2));
    run Waker(0);
#if OWNERS == 1
    run Waker(0);
#else
    run WakeOwner(1);
#endif
    run Monitor()
  }
  timeout;
  assert(to_run == 0 && common == 0 && plain[0] + plain[1] == 0 && !owner[0] && !owner[1])
}
