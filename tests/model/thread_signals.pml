/* A signal for a virtual thread: sent while it queues itself, parks, is woken, waits for a carrier, runs, or stands in a section.
 *
 * Stands for: core/thread_signals.cpp signals_send(), notify(), signals_deliver(), signals_end_wait(); core/wait_table.cpp wait_on();
 * core/cancel.cpp end_table_wait(); the look after the switch in core/scheduler.cpp leave(); run_signals() in core/eject.cpp.
 * Proved: each signal's handler runs, also if nothing else ever happens to the thread (else: invalid end state), and no post of the semaphore
 * is lost or taken twice over it; a wait is ended by exactly one unpark.
 * Left out: waits in rings (a request to the carrier instead of the node; the same two looks), masks, platform threads, memory weaker than
 * sequential: the sender's membarrier(2) stands between its store and its looks.
 *
 * config SIGNALS=1 POSTS=2: a signal at any moment
 * config SIGNALS=2 POSTS=1: two
 * bug NO_LOOK (end state): the thread doesn't look for signals between queueing its node and parking
 * bug NO_LOOK_AFTER (end state): nor after a switch: one that came while it was runnable
 * bug DEAF_SECTION (end state): the interrupt that finds the thread in a section leaves no word for its end
 * bug KICK_ONLY (end state): the sender interrupts the OS thread, but doesn't end the wait
 * bug WAKE_QUEUED (assertion): the sender wakes the thread and leaves its node in the queue
 * bug KEEPS_RESULT (assertion): a wait that was ended for a handler returns as if the post had come
 */
#ifndef SIGNALS
#define SIGNALS 1
#define POSTS 2
#endif

mtype = { Queued, Woken, Interrupted };

byte pending;          /* signals_pending: real-time signals, a count */
byte handled;
byte value;            /* the semaphore's */
byte taken;
bool queued;           /* the node, under the bucket's lock: each use is one step */
mtype result;
byte unparks;          /* that the thread hasn't consumed */
bool on_cpu = true;    /* it runs; false from its switch until it is resumed */
bool runnable;         /* unparked, in a run queue */
byte depth;
bool deferred;         /* Self::kSignals among them */
bool kick;             /* an interrupt of the OS thread on which it was seen last is on its way */

inline handlers() {
  do
  :: atomic { pending > 0 -> pending--; handled++ }
  :: else -> break
  od
}

/* Between any two steps of the thread's own, the interrupt may come. */
inline may_be_interrupted() {
  if
  :: atomic { kick && depth == 0 -> kick = false } handlers()
#ifndef DEAF_SECTION
  :: atomic { kick && depth > 0 -> kick = false; deferred = true }
#else
  :: atomic { kick && depth > 0 -> kick = false }
#endif
  :: true
  fi
}

inline unpark() {
  assert(unparks == 0);
  unparks++;
  if
  :: !on_cpu -> runnable = true
  :: else            /* kNotified */
  fi
}

active proctype Thread() {
  byte i;
  for (i : 1 .. POSTS) {
    depth = 1;
again:
    may_be_interrupted();
    atomic {
      if
      :: value > 0 -> value--; taken++; result = Woken; goto done
      :: else -> queued = true; result = Queued
      fi
    }
    may_be_interrupted();
#ifndef NO_LOOK
    if
    :: pending > 0 ->
       atomic {
         if
         :: queued -> queued = false; result = Interrupted; goto woken
         :: else  /* somebody has it: the unpark is on its way */
         fi
       }
    :: else
    fi;
#endif
    may_be_interrupted();
    /* park(): off the CPU, unless the unpark has come already */
    if
    :: atomic { unparks > 0 -> unparks-- }
    :: atomic { unparks == 0 -> on_cpu = false }
       atomic { runnable -> runnable = false; unparks--; on_cpu = true }
#ifndef NO_LOOK_AFTER
       if
       :: pending > 0 -> deferred = true
       :: else
       fi
#endif
    fi;
woken:
    may_be_interrupted();
    if
    :: result == Interrupted ->
#ifdef KEEPS_RESULT
       taken++; goto done;
#endif
       depth = 0;
       handlers();
       depth = 1;
       goto again
    :: else -> assert(result == Woken)
    fi;
done:
    may_be_interrupted();
    depth = 0;
    if
    :: deferred -> deferred = false; handlers()
    :: else
    fi;
    may_be_interrupted()
  }
  /* It computes, and sees nobody, until the handlers have run. */
  do
  :: handled == SIGNALS -> break
  :: atomic { kick -> kick = false } handlers()
  od;
  assert(taken == POSTS && value == 0 && unparks == 0)
}

active proctype Sender() {
  byte i;
  for (i : 1 .. SIGNALS) {
    pending++;
#ifndef KICK_ONLY
    atomic {
      if
#ifdef WAKE_QUEUED
      :: queued -> result = Interrupted; unpark(); goto sent
#else
      :: queued -> queued = false; result = Interrupted; unpark(); goto sent
#endif
      :: else
      fi
    }
#endif
    /* The interrupt of whoever runs on the carrier that it was seen on. */
    if
    :: atomic { on_cpu && !kick -> kick = true }
    :: else
    fi;
sent:
    skip
  }
}

/* An interrupt that finds somebody else. */
active proctype Elsewhere() {
end:
  do
  :: atomic { kick && !on_cpu -> kick = false }
  od
}

active proctype Poster() {
  byte i;
  for (i : 1 .. POSTS) {
    if
    :: true                                  /* at any time */
    :: i == POSTS -> handled == SIGNALS      /* the last one not before all handlers have run */
    fi;
    atomic {
      value++;
      if
      :: queued -> queued = false; value--; taken++; result = Woken; unpark()
      :: else
      fi
    }
  }
}
