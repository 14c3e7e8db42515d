/* A handler's sem_post on the main OS thread, on top of the runtime: what it posts waits until the runtime may be entered.
 *
 * Stands for: core/signals.cpp run_handler(), signals_attend(); core/self.h RuntimeSection; core/main_thread.cpp run_deferred();
 * sync/sem.cpp sem_acquire(), sem_release(); core/scheduler.cpp leave(), next_in_queue(), take_over(), arrive(), as far as a handler may
 * come between their steps; core/carrier.cpp run() of carrier 0.
 * Carrier 0 is one process; a handler is one step that may come between any two of its steps, since it runs on the same OS thread. Main waits
 * for semaphore 1, a thread on another carrier for semaphore 2; each is posted once by a handler (SA_RESTART: it ends no call). The other
 * thread of carrier 0, if there is one, computes until both have been woken.
 * Proved: both are woken.
 * Where the model isn't the code of 4e42895, but what it should be: see the first three bugs. Here what a handler posts stays in the main
 * thread's own list, and arrive() attends to it on the other side of each switch.
 *
 * bug HANDED_TO_LEAVER (assertion): as it was once: posts move to the interrupted thread, which does them when its section ends: after its park
 * bug READ_AFTER_POP (assertion): as it was once: signals_attend() takes 1 off the count, then reads the entry that a handler overwrites meanwhile
 * bug UNATTENDED_SWITCH (assertion): as it was once: only next_in_queue() looks whether there is something to attend to
 * bug NO_WAKE (assertion): a handler on top of the carrier's loop doesn't end its wait
 */
#define MAIN 0
#define OTHER 1
#define NOBODY 2

byte running = MAIN;        /* Carrier::running */
byte depth[2];              /* in a RuntimeSection */
bool attention;             /* Carrier::attention */
bool has_attention[2];      /* Self::kAttention is among the thread's deferred */
byte entry[4], count;       /* the main thread's PlatformThread::deferred */
byte given[2];              /* a thread's own: the semaphore, 0 if none */
bool event;                 /* the eventfd */
bool value[3], mark[3], queued[3], woken[3];  /* by semaphore */
bool main_parked, main_ready, other_ready;

/* hand_over() and unpark() */
inline hand_over(s) {
  if
  :: queued[s] && value[s] ->
     queued[s] = false; value[s] = false; mark[s] = false; woken[s] = true;
     if
     :: s == 1 && main_parked -> main_parked = false; main_ready = true
     :: else
     fi
  :: else
  fi
}

proctype Handler(byte s) {
  atomic {
    value[s] = true;
    if
    :: mark[s] && (running == NOBODY || depth[running]) ->
       entry[count] = s; count++;
       if
       :: running != NOBODY ->
          has_attention[running] = true
#ifdef HANDED_TO_LEAVER
          ; count--; given[running] = s
#endif
       :: else
       fi;
       attention = true;
       if
#ifndef NO_WAKE
       :: running == NOBODY -> event = true
#endif
       :: else
       fi
    :: mark[s] && running != NOBODY && !depth[running] -> hand_over(s)
    :: else
    fi
  }
}

/* On carrier 0, in the loop, at a section's end or on the other side of a switch. */
inline attend() {
  attention = false;
  do
  :: count ->
#ifdef READ_AFTER_POP
     count--;
     s = entry[count];
#else
     n = count;
     s = entry[n - 1];
     if
     :: atomic { count == n -> count-- }
     :: else -> s = 0  /* a handler has pushed: another turn */
     fi;
     n = 0;
#endif
     atomic { if :: s -> hand_over(s) :: else fi; s = 0 }
  :: else -> break
  od
}
inline if_attention() {
  if
  :: attention -> attend()
  :: else
  fi
}
/* ~RuntimeSection(), run_deferred() */
inline section_ends(v) {
  depth[v] = 0;
  if
  :: has_attention[v] ->
     atomic { has_attention[v] = false; if :: given[v] -> s = given[v]; given[v] = 0; hand_over(s); s = 0 :: else fi }
     if_attention()
  :: else
  fi
}

proctype Carrier0() {
  byte s, n;
  bool direct;

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
  if_attention();
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
#ifndef UNATTENDED_SWITCH
  if_attention();
#endif
  section_ends(OTHER);
  woken[1] && woken[2];  /* computes */
  goto done;

main_again:
#ifndef UNATTENDED_SWITCH
  if_attention();
#endif
leave_section:
  section_ends(MAIN);
done:
  skip
}

/* When nothing moves any more. What is left in the list is main's to attend to as soon as it is in its own code again. */
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
    run Carrier0(); run Handler(1); run Handler(2); run Check()
  }
}
