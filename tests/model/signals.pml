/* Signals on the main OS thread: each is left for main, whose handlers run on main itself: over its own code, at the end of its section, in the middle of its wait, or when
 * it goes on.
 *
 * Stands for: core/signals.cpp on_signal(), signals_attend(), signals_section_ended(); core/main_signals.cpp main_signals_pass(); core/main_thread.cpp main_interrupt(),
 * run_deferred(); core/eject.cpp make_room(); core/self.h RuntimeSection; core/wait_table.cpp park_main(), wait_on(); core/scheduler.cpp leave(), next_in_queue(),
 * arrive(), as far as a signal may come between their steps; core/carrier.cpp run() of carrier 0.
 * Carrier 0 is one process; a signal is one step that may come between any two of its steps, since it comes on the same OS thread. Main waits
 * for semaphore 1, a thread on another carrier for semaphore 2; each is posted once by a handler (SA_RESTART: it ends no call). The other
 * thread of carrier 0, if there is one, computes until both have been woken, and posts nothing.
 * Proved: both handlers run, both threads are woken; no handler runs but on main, outside of sections; main is made runnable once for each park.
 *
 * bug UNTOLD_ARRIVAL (assertion): who is switched to isn't told of what came after the look in next_in_queue(), and computes
 * bug NO_WAKE (assertion): what comes over the carrier's loop doesn't end its wait
 * bug NO_EJECT (assertion): who computes isn't moved off
 * bug CLEARED_LATE (assertion): signals_attend() clears `attention` after its look
 * bug NO_LOOK (assertion): nothing is left for the loop when main itself is interrupted on its way to park
 * bug LOOK_THEN_END (assertion): a section's end looks first, then ends it
 * bug KEEPS_NODE (end state): main is woken for its signals and left in the semaphore's queue
 */
#define MAIN 0
#define OTHER 1
#define NOBODY 2

byte running = MAIN;        /* Carrier::running */
byte depth[2];              /* in a RuntimeSection */
bool attention;             /* Carrier::attention */
bool has_attention;         /* Self::kAttention is among the other's deferred, */
bool has_signals;           /* Self::kSignals among main's */
bool pending[3];            /* signals_pending of main's */
bool eject;                 /* the eject signal, for who computes */
bool event;                 /* the eventfd */
bool value[3], mark[3], queued[3], woken[3];  /* by semaphore */
bool interrupted;           /* WaitResult::kInterrupted */
bool main_parked, main_ready, other_ready;

inline unpark_main() {
  assert(!main_ready);
  main_ready = true; main_parked = false
}
/* The handler: sem_post(), hand_over() and unpark(). It takes locks. */
inline handle(s) {
  assert(running == MAIN && !depth[MAIN]);
  value[s] = true;
  if
  :: mark[s] && queued[s] ->
     queued[s] = false; value[s] = false; mark[s] = false; woken[s] = true;
     if
     :: s == 1 && main_parked -> unpark_main()
     :: else
     fi
  :: else
  fi
}
/* signals_deliver() */
inline deliver() {
  do
  :: atomic { pending[1] -> pending[1] = false; handle(1) }
  :: atomic { pending[2] -> pending[2] = false; handle(2) }
  :: else -> break
  od
}

/* on_signal(), in one step */
inline on_signal(s) {
  if
  :: running == MAIN && !depth[MAIN] -> handle(s)
  :: else ->
     pending[s] = true;
#ifdef NO_LOOK
     if :: running != MAIN -> attention = true :: else fi;
#else
     attention = true;
#endif
     if
     :: running == NOBODY ->
#ifndef NO_WAKE
        event = true
#else
        skip
#endif
     :: running == MAIN -> has_signals = true
     :: running == OTHER && depth[OTHER] -> has_attention = true
     :: running == OTHER && !depth[OTHER] ->
#ifndef NO_EJECT
        eject = true
#else
        skip
#endif
     fi
  fi
}

proctype Signal(byte s) {
  atomic { on_signal(s) }
}

/* main_interrupt(): main's wait is ended, unless somebody has woken it. */
inline interrupt_main() {
  atomic {
    if
    :: (pending[1] || pending[2]) && main_parked && queued[1] ->
#ifndef KEEPS_NODE
       queued[1] = false;
#endif
       interrupted = true; unpark_main()
    :: else
    fi
  }
}
/* In the loop. */
inline attend() {
  if
  :: attention ->
#ifndef CLEARED_LATE
     attention = false;
#endif
     interrupt_main();
#ifdef CLEARED_LATE
     attention = false
#endif
  :: else
  fi
}
/* arrive() */
inline arrived() {
#ifndef UNTOLD_ARRIVAL
  if
  :: attention -> has_attention = true
  :: else
  fi
#else
  skip
#endif
}
/* ~RuntimeSection(), run_deferred() */
inline mains_section_ends() {
#ifdef LOOK_THEN_END
  told = has_signals;
  depth[MAIN] = 0;
#else
  depth[MAIN] = 0;
  told = has_signals;
#endif
  if
  :: told -> has_signals = false; deliver()
  :: else
  fi;
  told = false
}

proctype Carrier0() {
  bool direct, told;

  /* main: sem_acquire() */
again:
  if
  :: atomic { woken[1] -> skip }
     goto done
  :: atomic { !woken[1] && value[1] -> value[1] = false; woken[1] = true }
     goto done
  :: else
  fi;
  depth[MAIN] = 1;
  interrupted = false;
  mark[1] = true;
  if
  :: atomic { value[1] -> value[1] = false; mark[1] = false; woken[1] = true }
     goto leave_section
  :: else
  fi;
  queued[1] = true;
  /* park_main(): the look, before it parks */
  atomic {
    if
    :: pending[1] || pending[2] -> queued[1] = false; interrupted = true
    :: else
    fi
  }
  if
  :: interrupted -> goto leave_section
  :: else
  fi;
  /* leave(), next_in_queue(): to the other thread at once, or to the loop */
  if
  :: !attention && other_ready -> direct = true
  :: true -> direct = false
  fi;
  if
  :: direct -> atomic { running = OTHER; depth[OTHER] = 1; other_ready = false }
  :: else -> running = NOBODY
  fi;
  main_parked = true;  /* finish_switch(): commit */
  if
  :: direct -> goto other
  :: else
  fi;

  /* run() */
loop:
  attend();
  if
  :: main_ready -> atomic { main_ready = false; running = MAIN }
     goto main_again
  :: !main_ready && other_ready -> atomic { running = OTHER; depth[OTHER] = 1; other_ready = false }
     goto other
  :: else
  fi;
  atomic { event -> event = false }  /* wait() */
  goto loop;

other:
  arrived();
  /* Its section's end: signals_section_ended() */
  depth[OTHER] = 0;
  if
  :: atomic { has_attention && (pending[1] || pending[2]) -> has_attention = false; eject = true }
  :: else
  fi;
  if  /* computes */
  :: eject ->  /* make_room() */
     atomic { eject = false; depth[OTHER] = 1 }
     interrupt_main();
     atomic { depth[OTHER] = 0; running = NOBODY; other_ready = true }
     goto loop
  :: woken[1] && woken[2]
  fi;
  goto done;

main_again:
  /* leave(): the look after the switch */
  if
  :: pending[1] || pending[2] -> has_signals = true
  :: else
  fi;
leave_section:
  /* signals_end_wait(): the handlers, then the wait begins anew */
  if
  :: interrupted -> depth[MAIN] = 0; deliver(); depth[MAIN] = 1
  :: else
  fi;
  mains_section_ends();
  goto again;
done:
  skip
}

/* When nothing moves any more. */
proctype Check() {
  timeout;
  assert(woken[1] && woken[2])
}

init {
  atomic {
    mark[2] = true; queued[2] = true;
    if
    :: other_ready = true
    :: other_ready = false  /* then there is none */
    fi;
    run Carrier0(); run Signal(1); run Signal(2); run Check()
  }
}
