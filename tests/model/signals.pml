/* Signals on the main OS thread: a handler of main's runs over main's own code or over the loop where that rests; what comes elsewhere is held.
 *
 * Stands for: core/signals.cpp on_signal(), must_be_held(), signals_run_held(), signals_attend(), signals_section_ended(); core/eject.cpp make_room(); core/self.h
 * RuntimeSection; core/main_thread.cpp run_deferred(); core/scheduler.cpp leave(), next_in_queue(), arrive(), as far as a signal may come between their
 * steps; core/carrier.cpp run() of carrier 0.
 * Carrier 0 is one process; a signal is one step that may come between any two of its steps, since it comes on the same OS thread. Main waits
 * for semaphore 1, a thread on another carrier for semaphore 2; each is posted once by a handler (SA_RESTART: it ends no call). The other
 * thread of carrier 0, if there is one, computes until both have been woken, and posts nothing.
 * Proved: both handlers run, both threads are woken; no handler runs over a section, over the loop where it may hold a lock, or over the other thread, which it
 * may wait for.
 *
 * bug UNTOLD_ARRIVAL (assertion): who is switched to isn't told of what came after the look in next_in_queue(), and computes
 * bug NO_WAKE (assertion): what comes over the carrier's loop doesn't end its wait
 * bug NO_EJECT (assertion): who computes isn't moved off
 * bug CLEARED_LATE (assertion): signals_attend() clears `attention` after its look
 * bug LOOK_THEN_END (assertion): a section's end looks first, then ends it
 * bug OVER_LOOP (assertion): as it was once: a handler runs over the loop wherever that is
 */
#define MAIN 0
#define OTHER 1
#define NOBODY 2

byte running = MAIN;        /* Carrier::running */
byte depth[2];              /* in a RuntimeSection */
bool attention;             /* Carrier::attention */
bool has_attention[2];      /* Self::kAttention is among the thread's deferred */
byte entry[8], begin, end;  /* what is held */
bool rests, waits;          /* the loop holds nothing; it's in its system call */
bool eject;                 /* the eject signal, for who computes */
bool event;                 /* the eventfd */
bool value[3], mark[3], queued[3], woken[3];  /* by semaphore */
bool main_parked, main_ready, other_ready;

/* The handler: sem_post(), hand_over() and unpark(). It takes locks. */
inline handle(s) {
  assert(running != OTHER && (running == MAIN -> !depth[MAIN] : rests || waits));
  value[s] = true;
  if
  :: mark[s] && queued[s] ->
     queued[s] = false; value[s] = false; mark[s] = false; woken[s] = true;
     if
     :: s == 1 && main_parked -> main_parked = false; main_ready = true
     :: else
     fi
  :: else
  fi
}
inline hold(s) {
  entry[end] = s; end++; attention = true
}
inline wake_loop() {
#ifndef NO_WAKE
  event = true
#else
  skip
#endif
}

/* on_signal(), in one step */
inline on_signal(s) {
  if
#ifdef OVER_LOOP
  :: running == NOBODY -> handle(s); attention = true; wake_loop()
#else
  :: running == NOBODY && (rests || waits) -> handle(s); attention = true; wake_loop()
  :: running == NOBODY && !rests && !waits -> hold(s); wake_loop()
#endif
  :: running != NOBODY && depth[running] -> has_attention[running] = true; hold(s)
  :: running == MAIN && !depth[MAIN] -> handle(s)
  :: running == OTHER && !depth[OTHER] -> hold(s);
#ifndef NO_EJECT
     eject = true
#endif
  fi
}

proctype Signal(byte s) {
  atomic { on_signal(s) }
}

/* signals_run_held(): each that was held at the beginning. The code keeps their order besides. */
inline release() {
  n = end - begin;
  do
  :: n && begin != end ->
     atomic { s = entry[begin]; begin++; n-- }
     atomic { on_signal(s); s = 0 }
  :: else -> break
  od;
  n = 0
}
/* In the loop. */
inline attend() {
  if
  :: attention ->
#ifndef CLEARED_LATE
     attention = false;
#endif
     if
     :: begin != end -> rests = true; release(); rests = false
     :: else
     fi
#ifdef CLEARED_LATE
     ; attention = false
#endif
  :: else
  fi
}
/* arrive() */
inline arrived(v) {
#ifndef UNTOLD_ARRIVAL
  if
  :: attention -> has_attention[v] = true
  :: else
  fi
#else
  skip
#endif
}
/* ~RuntimeSection(), run_deferred(), signals_section_ended() */
inline section_ends(v) {
#ifdef LOOK_THEN_END
  told = has_attention[v];
  depth[v] = 0;
#else
  depth[v] = 0;
  told = has_attention[v];
#endif
  if
  :: told && begin != end ->
     has_attention[v] = false;
     if
     :: v == MAIN -> release()
     :: else -> eject = true
     fi
  :: else
  fi;
  told = false
}

proctype Carrier0() {
  byte s, n;
  bool direct, told;

  /* main: sem_acquire() */
  if
  :: atomic { value[1] -> value[1] = false; woken[1] = true }
     goto done
  :: else
  fi;
  depth[MAIN] = 1;
  mark[1] = true;
  if
  :: atomic { value[1] -> value[1] = false; mark[1] = false; woken[1] = true }
     goto leave_section
  :: else
  fi;
  queued[1] = true;
  /* park(): kNotified already? */
  if
  :: woken[1] -> goto leave_section
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
  /* finish_switch(): commit */
  atomic { if :: woken[1] -> main_ready = true :: else -> main_parked = true fi }
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
  waits = true;
  atomic { event -> event = false; waits = false }  /* wait() */
  goto loop;

other:
  arrived(OTHER);
  section_ends(OTHER);
  if  /* computes */
  :: eject ->  /* make_room() */
     atomic { eject = false; depth[OTHER] = 1 }
     atomic { depth[OTHER] = 0; running = NOBODY; other_ready = true }
     goto loop
  :: woken[1] && woken[2]
  fi;
  goto done;

main_again:
  arrived(MAIN);
leave_section:
  section_ends(MAIN);
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
