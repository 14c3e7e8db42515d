/* Idle and wake: a carrier that sleeps in its ring against those who have something for it, and the monitor's long sleep.
 *
 * Stands for: core/carrier.cpp Carrier::run(), carrier_wake(), carrier_want_help(); core/scheduler.cpp enqueue(), pick();
 * core/run_queue.h; core/reactor.cpp wait(), reap(), arm_wake(), wake(); core/wait_table.cpp wait_on()'s arm for a carrier that may
 * sleep; core/io_wait.cpp's mail; core/monitor.cpp run(), look_around(), look_at_stuck(), monitor_notice(), ring_bell().
 * Memory: as x86 has it. A seq_cst store or an exchange takes effect at once; a relaxed store to `idle` lies in the carrier's store buffer
 * until StoreBuffer() lets it out. Other stores are followed by a locked instruction (an unlock) at once, so they need no buffer.
 * Proved: when nothing moves any more, no queue, mail, timer or request for help is left and all that was pushed has run; a thread
 * that spins for one queued behind it gets it run (so the monitor isn't in its long sleep while a carrier works).
 * Left out: how many ticks "quiet" takes (the model's monitor may sleep at any), several spinners, fork, more than one deadline.
 *
 * config RING: one carrier; a waker, mail, a timer armed from elsewhere, finished I/O
 * config RING QUIET_REAP: a carrier that finds work for itself while it reaps doesn't write its own eventfd, but stores idle = 0
 * config HELP: two carriers that steal, two wakers, one thread is pinned
 * config MONITOR: a thread that spins for the one behind it, and the monitor; nobody steals
 * bug RING WEAK_IDLE (assertion): idle = 1 with release order only: it's still in the store buffer when the size is read
 * bug RING WEAK_PUSH (assertion): the size is stored with release order only (and no locked instruction): idle is read before it is out
 * bug RING NO_SECOND_LOOK (assertion): the carrier sleeps without looking at its queue again
 * bug RING NO_MAIL_LOOK (assertion): nor at its mail
 * bug HELP NO_ASKED_LOOK (assertion): nor at `asked`
 * bug RING ARM_ONLY (assertion): who arms a timer of an idle carrier doesn't wake it
 * bug HELP PINNED_IN_STEPS (assertion): as it was once: a thief that meets a pinned thread takes 1 off the size, then adds it again
 * bug MONITOR WEAK_ASLEEP (assertion): asleep = 1 with release order only
 * bug MONITOR NO_FENCE (assertion): monitor_notice() without its fence: idle = 0 is still in the store buffer
 * bug MONITOR LATE_BELL (assertion): the monitor reads the bell after its last look
 * bug MONITOR RING_FIRST (assertion): who asks for a carrier rings the bell and then says what it wants
 * bug MONITOR UNNOTICED (assertion): as it was once: a carrier that changes its mind about sleeping doesn't tell the monitor
 */
#ifdef RING
#define NC 1
#else
#define NC 2
#endif
mtype = { Plain, Pinned, Spinner, Setter };  /* what is queued */

bool idle[NC];                     /* Carrier::idle */
bool buffered[NC], buffer[NC];     /* the store buffer of the carrier's CPU; its stores to `idle` only */
bool asked[NC], mail[NC], timer[NC];
chan queue[NC] = [4] of { mtype };
byte size[NC];                     /* RunQueue::size_ */
bool locked[NC];                   /* RunQueue::lock_, where it is held for more than one step */
bool event[NC];                    /* the eventfd's count > 0 */
#ifdef RING
bool reading[NC];                  /* the kernel holds the read of it */
bool wake_armed[NC];               /* the reactor's view of that */
bool seen_event[NC];               /* its completion lies in the ring */
byte io[NC];                       /* operations in flight */
byte finished[NC];                 /* their completions, in the ring */
#endif
byte to_run;                       /* pushed, and not run yet */
bool flag;                         /* what the spinner spins on */
bool spins[NC];                    /* the spinner runs here: no switch since the last tick */
bool asleep;                       /* the monitor's */
bool rung;                         /* its bell has another value than when it read it */
bool requested;                    /* one more carrier, please */

#if NC == 1
#define STUCK (to_run || size[0] || mail[0] || timer[0] || asked[0])
#else
#define STUCK (to_run || size[0] || size[1] || asked[0] || asked[1] || requested)
#endif

proctype StoreBuffer(byte c) {
end:
  do
  :: atomic { buffered[c] -> idle[c] = buffer[c]; buffered[c] = false }
  od
}
inline drain(c) { !buffered[c] }  /* a fence, or before a locked instruction */

#ifdef RING
/* The kernel's side of carrier c's ring. Completions are made at any time. */
proctype Kernel(byte c) {
end:
  do
  :: atomic { event[c] && reading[c] -> event[c] = false; reading[c] = false; seen_event[c] = true }
  :: atomic { io[c] -> io[c]--; finished[c]++ }
  od
}
#endif

/* carrier_wake(): the exchange, then the write, which may come late. */
inline carrier_wake(to) {
  if
  :: atomic { idle[to] -> idle[to] = false }
     event[to] = true
  :: else
  fi
}
#ifdef HELP
inline carrier_want_help() {
  if
  :: idle[0] -> asked[0] = true; carrier_wake(0)
  :: !idle[0] && idle[1] -> asked[1] = true; carrier_wake(1)
  :: else
  fi
}
#endif

/* RunQueue::push(): under the lock there is one store that others look at. */
inline push(to, what) {
  atomic { !locked[to] -> queue[to]!what; size[to]++ }
}
/* enqueue() after the push. Whether a busy carrier's waker asks for help is a matter of policy. */
inline wake_or_not(to) {
  if
  :: idle[to] -> carrier_wake(to)
#ifdef HELP
  :: !idle[to] -> carrier_want_help()
#endif
  :: !idle[to]
  fi
}

/* RunQueue::pop(): null (what = 0) if the size says 0, or by the lock. */
inline pop(c, what) {
  if
  :: atomic { size[c] && !locked[c] && nempty(queue[c]) -> queue[c]?what; size[c]-- }
  :: atomic { size[c] && !locked[c] && empty(queue[c]) -> what = 0 }
  :: atomic { size[c] == 0 -> what = 0 }
  fi
}

/* RunQueue::steal_into(), move_all_to(): `n` of the queue's threads are looked at, the pinned ones stay. Then they go to `to`'s. */
inline move_to(from, to, n) {
  atomic { !locked[from] -> locked[from] = true; n = (n < size[from] -> n : size[from]) }
  do
  :: atomic { n && nempty(queue[from]) -> n--; queue[from]?moved }
     if
     :: atomic { moved == Pinned -> moved = 0; queue[from]!Pinned }
#ifdef PINNED_IN_STEPS
        size[from]--;
        size[from]++
#endif
     :: atomic { else -> size[from]-- } break  /* one is enough here */
     fi
  :: else -> break
  od;
  locked[from] = false;
  if
  :: moved -> push(to, moved); moved = 0; n = 1
  :: else -> n = 0
  fi
}

/* A relaxed store: into the store buffer. */
inline not_idle(c) {
  atomic { !buffered[c] -> buffered[c] = true; buffer[c] = false }
}

#ifdef RING
/* Reactor::reap(): the wake-up's read, and finished operations, whose owners are queued here. While wait() reaps, idle is still 1. */
inline reap(c) {
  atomic { if :: seen_event[c] -> seen_event[c] = false; wake_armed[c] = false :: else fi }
  do
  :: atomic { finished[c] && !locked[c] -> finished[c]--; queue[c]!Plain; size[c]++; to_run++ }
     if
#ifdef QUIET_REAP
     :: (buffered[c] -> buffer[c] : idle[c]) -> not_idle(c)
#else
     :: (buffered[c] -> buffer[c] : idle[c]) -> drain(c); carrier_wake(c)
#endif
     :: else
     fi
  :: atomic { finished[c] == 0 -> break }
  od
}
#endif

inline monitor_notice(c) {
#ifdef MONITOR
#ifndef NO_FENCE
  drain(c);
#endif
  if
  :: asleep ->
     drain(c);
     if
     :: atomic { asleep -> asleep = false }
        rung = true
     :: else
     fi
  :: else
  fi
#else
  skip
#endif
}

proctype Carrier(byte c) {
  mtype what;
#ifdef RING
  bool deadline;
#endif
#ifdef HELP
  mtype moved;
  byte n;
#endif
again:
  /* pick() */
#ifdef RING
  atomic { if :: mail[c] -> mail[c] = false :: else fi }  /* cancel_mailed() */
  pop(c, what);
  if
  :: what -> goto run_it
  :: else
  fi;
  reap(c);
  if
  :: atomic { timer[c] -> timer[c] = false; to_run++ }
     push(c, Plain)  /* it was due, and its owner is queued here */
  :: else
  fi;
#endif
  pop(c, what);
  if
  :: what -> goto run_it
  :: else
  fi;
#ifdef HELP
  if
  :: atomic { asked[c] && !buffered[c] -> asked[c] = false; n = 1 }
  :: !asked[c] -> n = 1  /* not lazy, or chaos */
  :: !asked[c]
  fi;
  if
  :: n && size[1 - c] ->
     move_to(1 - c, c, n);
     if
     :: n -> n = 0; pop(c, what)
     :: else
     fi
  :: else
  fi;
  n = 0;
  if
  :: what -> goto run_it
  :: else
  fi;
#endif

  /* run(): the idle protocol */
#ifdef WEAK_IDLE
  atomic { !buffered[c] -> buffered[c] = true; buffer[c] = true }
#else
  atomic { !buffered[c] -> idle[c] = true }
#endif
  if
#ifndef NO_SECOND_LOOK
  :: size[c] -> goto no_sleep
#else
  :: false -> goto no_sleep
#endif
  :: else
  fi;
#if defined(HELP) && !defined(NO_ASKED_LOOK)
  if
  :: asked[c] -> goto no_sleep
  :: else
  fi;
#endif
#if defined(RING) && !defined(NO_MAIL_LOOK)
  if
  :: mail[c] -> goto no_sleep
  :: else
  fi;
#endif
  /* Reactor::wait() */
#ifdef RING
  deadline = timer[c];
  atomic { if :: !wake_armed[c] -> wake_armed[c] = true; reading[c] = true :: else fi }
end:
  if
  :: seen_event[c] || finished[c]
  :: deadline
  fi;
  deadline = false;
  reap(c);
#else
end:
  atomic { event[c] -> event[c] = false }  /* config RING has it in full */
#endif
  not_idle(c);
  monitor_notice(c);
  goto again;

no_sleep:
  not_idle(c);
#ifndef UNNOTICED
  monitor_notice(c);
#endif
  goto again;

run_it:
#ifdef MONITOR
  if
  :: what == Spinner -> spins[c] = true; atomic { flag -> spins[c] = false }  /* while (!flag) */
  :: what == Setter -> flag = true
  :: else
  fi;
#endif
  atomic { to_run--; what = 0 }
  goto again
}

/* Who makes a thread runnable, on a platform thread, on any carrier. */
proctype Waker(mtype what; byte to) {
#ifdef WEAK_PUSH
  bool was;
  was = idle[to];  /* read before its own store is out: as if the two had changed places */
  push(to, what);
  if
  :: was -> carrier_wake(to)
  :: else
  fi
#else
#ifdef MONITOR
  push(to, what);
  wake_or_not(to);
  what = Setter;
#endif
  push(to, what);
  wake_or_not(to)
#endif
}

#ifdef RING
proctype Mailer(byte to) {
  mail[to] = true;
  carrier_wake(to)
}
/* wait_on() of a thread that makes an announced blocking call: the timer is its home's. */
proctype Armer(byte to) {
  timer[to] = true;
#ifndef ARM_ONLY
  carrier_wake(to)
#endif
}
#endif

#ifdef MONITOR
/* monitor_request_carrier() */
proctype Requester() {
#ifdef RING_FIRST
  rung = true;
  requested = true
#else
  if
  :: atomic { !requested -> requested = true }
     rung = true
  :: else
  fi
#endif
}

proctype Monitor() {
  byte n, c;
  bool quiet, last;
  mtype moved;
  do
  :: rung = false;  /* seen = bell */
     requested = false;
look:
     /* look_around(). The queue of a carrier that isn't idle and doesn't switch moves to the other. */
     atomic { quiet = true; c = 0 }
     do
     :: c < NC ->
        if
        :: atomic { idle[c] -> c++ }
        :: else ->
           if
           :: atomic { spins[c] && size[c] -> n = size[c] }  /* stuck */
              move_to(c, 1 - c, n);
              if
              :: atomic { n -> n = 0 } carrier_wake(1 - c)
              :: else
              fi
           :: else
           fi;
           atomic { quiet = false; c++ }
        fi
     :: else -> break
     od;
     if
     :: last && quiet && !requested ->  /* the look after asleep = 1 */
#ifdef WEAK_ASLEEP
        asleep = true;
#endif
#ifdef LATE_BELL
        rung = false;
#endif
end:
        rung;  /* futex_wait */
        atomic { asleep = false; last = false; quiet = false }
     :: last && (!quiet || requested) -> atomic { asleep = false; last = false }
     :: !last && quiet ->
#ifdef WEAK_ASLEEP
        last = true; goto look  /* it is out only after the look */
#else
        atomic { asleep = true; last = true; goto look }
#endif
     :: !last -> quiet = false  /* a tick */
     fi
  od
}
#endif

/* When nothing moves any more. */
proctype Check() {
  timeout;
  assert(!STUCK)
}

init {
  atomic {
    byte c;
    do
    :: c < NC -> run Carrier(c); run StoreBuffer(c); c++
    :: else -> break
    od;
    run Check();
#ifdef RING
    run Kernel(0);
    to_run = 1; io[0] = 1;
    run Waker(Plain, 0); run Mailer(0); run Armer(0)
#endif
#ifdef HELP
    to_run = 2;
    run Waker(Pinned, 0); run Waker(Plain, 0)
#endif
#ifdef MONITOR
    to_run = 2;
    run Waker(Spinner, 0); run Requester();
    run Monitor()
#endif
  }
}
