/* A wait for operations in the kernel: completions and a time-out, which the carrier whose ring it is finds by itself, or of which the monitor
 * leaves word in its mail.
 *
 * Stands for: core/io_wait.cpp finish(), on_complete(), on_deadline(), cancel_rest(), cancel_mailed(), unmail(); core/timer_heap.cpp arm(),
 * disarm(), expire(); core/monitor.cpp look_at_stuck()'s expire(). The owner may go on on another carrier at once.
 * Proved: the owner is woken once, when the kernel holds none of its operations any more; nobody touches the IoWait after finish() (its memory
 * serves the next wait: `turn` tells them apart), and it is in nobody's mail then; what hangs is cancelled when time is up.
 * Left out: that the carrier comes to look at its mail (idle.pml).
 * Where the model isn't the code of 4f02b38, but what it should be: see bug UNLOCKED_LOOK. Here on_complete() doesn't look at `mailed`; finish()
 * takes the IoWait out of the mail after disarm(), if its time was up; and cancel_mailed() cancels under the mail's lock.
 *
 * bug UNLOCKED_LOOK (assertion): as it was once: the last completion looks at `mailed` before the monitor has mailed it
 * bug UNLOCKED_CANCEL (assertion): cancel_mailed() cancels after it has let the mail's lock go
 * bug FIRST_COMPLETION (assertion): the owner is woken by the first completion
 * bug NO_DISARM (assertion): finish() returns without disarm()
 * bug NO_CANCEL (end state): the monitor finds that time is up, but leaves no word
 */
#define OPS 2
#define ROUNDS 2

bool alive;                    /* the IoWait */
byte turn;                     /* which wait */
bool pending[OPS];             /* IoEntry::pending */
byte left;                     /* IoWait::pending */
bool hangs[OPS], cancel[OPS];  /* the kernel's: completes only if it's cancelled; it shall be */
byte held[OPS];                /* for which turn the kernel holds the entry; 0: not */
bool cancelled, timed_out, mailed;
byte mail;                     /* Carrier::mail: the turn of what is in it, 0 if nothing */
bool mail_lock, heap_lock, timer_in_tree, timer_heap;
bool permit;

#define TOUCH(t) assert(alive && turn == t)

inline lock_mail() { atomic { !mail_lock -> mail_lock = true } }

inline cancel_rest(t) {
  atomic { TOUCH(t); cancelled = true }
  atomic { TOUCH(t); if :: pending[0] -> cancel[0] = true :: else fi }
  atomic { TOUCH(t); if :: pending[1] -> cancel[1] = true :: else fi }
}

/* Under the mail's lock. */
inline take_out_of_mail() {
  if
  :: mailed -> assert(mail == turn); mail = 0; mailed = false
  :: else
  fi
}

/* expire() and on_deadline(), by the carrier itself or the monitor. */
inline expire(home) {
  atomic { !heap_lock && timer_in_tree -> heap_lock = true; timer_in_tree = false; f = turn }
  atomic { TOUCH(f); timed_out = true }
  if
  :: home -> cancel_rest(f)
  :: else ->
#ifndef NO_CANCEL
     lock_mail();
     atomic { TOUCH(f); mail = f }
     atomic { TOUCH(f); mailed = true }
     mail_lock = false
#endif
  fi;
  atomic { TOUCH(f); timer_heap = false }
  atomic { heap_lock = false; f = 0 }
}

/* on_complete() */
inline complete(i) {
  atomic {
    held[i] && (!hangs[i] || cancel[i]) ->
    t = held[i];
    TOUCH(t);
    held[i] = 0; cancel[i] = false; pending[i] = false; left--
  }
  if
#ifdef FIRST_COMPLETION
  :: true ->
#else
  :: left == 0 ->
#endif
#ifdef UNLOCKED_LOOK
     TOUCH(t);
     if
     :: mailed -> lock_mail(); atomic { TOUCH(t); take_out_of_mail(); mail_lock = false }
     :: else
     fi;
#endif
     atomic { TOUCH(t); assert(!permit); permit = true }  /* unpark(): the last touch */
#ifndef FIRST_COMPLETION
  :: left && !cancelled -> cancel_rest(t)
  :: left && cancelled
#endif
  fi;
  t = 0
}

/* The carrier whose ring it is. */
proctype Home() {
  byte t, f;
end:
  do
  :: complete(0)
  :: complete(1)
  :: atomic { mail && !mail_lock -> mail_lock = true }  /* cancel_mailed() */
     if
     :: mail ->
        atomic { t = mail; TOUCH(t); mail = 0; mailed = false }
#ifdef UNLOCKED_CANCEL
        mail_lock = false;
        cancel_rest(t);
#else
#ifdef UNLOCKED_LOOK
        mail_lock = false;
#endif
        cancel_rest(t);
        mail_lock = false;
#endif
        t = 0
     :: else -> mail_lock = false
     fi
  :: expire(true)
  od
}

proctype Monitor() {
  byte f;
end:
  do
  :: expire(false)
  od
}

proctype Owner() {
  byte rounds;
  do
  :: rounds < ROUNDS ->
     atomic {  /* submit(), track() */
       rounds++;
       turn++; alive = true; cancelled = false; timed_out = false; mailed = false;
       pending[0] = true; pending[1] = true; left = 2;
       held[0] = turn; held[1] = turn;
       if
       :: hangs[0] = true
       :: hangs[0] = false
       fi;
       if
       :: hangs[1] = true
       :: hangs[1] = false
       fi
     }
     /* finish() */
     atomic { !heap_lock -> timer_in_tree = true; timer_heap = true }
     atomic { permit -> permit = false }
#ifndef NO_DISARM
     if
     :: timer_heap ->
        atomic { !heap_lock -> heap_lock = true }
        atomic { timer_in_tree = false; timer_heap = false; heap_lock = false }
     :: else
     fi;
#endif
#ifndef UNLOCKED_LOOK
     if
     :: timed_out -> lock_mail(); atomic { take_out_of_mail(); mail_lock = false }
     :: else
     fi;
#endif
     atomic {
       assert(left == 0 && !held[0] && !held[1] && !permit && mail == 0);
       alive = false
     }
  :: else -> break
  od
}

init {
  atomic { run Home(); run Monitor(); run Owner() }
}
