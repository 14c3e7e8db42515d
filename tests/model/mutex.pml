/* Mutexes: the word 0/1/2, the hand-over to who was woken in vain, and cond waiters that are moved to the mutex's queue.
 *
 * Stands for: sync/mutex.cpp try_fast(), lock_slow(), unlock_slow(), unlock_word(), mutex_adopt_waiter(), mutex_relock();
 * sync/fast.h; sync/cond.cpp cond_wait() and cond_broadcast() as far as they lock.
 * What happens under the bucket's lock is one step: at most one access in it is to the word, and all else there is the lock's. The
 * condition variable's lock is held over several steps (a broadcast), so it is modelled.
 * Proved: one holder at a time; nobody waits for ever: not for a mutex that is free, not in the condition variable; in the end the mutex is
 * free and its queue empty. LIVENESS: a thread that waits gets the mutex however the others come and go (weak fairness).
 * Left out: recursive and error checking kinds, adaptive spinning (an attempt at try_fast() like any other).
 *
 * config LOCKERS=3: lock and unlock, with and without a time-out
 * config LOCKERS=1 WAITERS=2: two wait for a condition, with and without a time-out, one broadcasts, one only locks
 * config LOCKERS=0 WAITERS=3: three wait, so that two are moved
 * config LIVENESS LOCKERS=3: two that lock again and again, against one
 * bug BLIND_QUEUE (assertion): a waiter marks the word and queues itself, whether it was free or not
 * bug STORED_UNLOCK (end state): the holder reads 1 and then stores 0, where it needs a CAS
 * bug LOCKERS=3 FREE_GRANT (assertion): a mutex that is handed over is also marked free
 * bug LOCKERS=3 ONE_AGAIN (end state): who was woken out of the queue takes the mutex by 0 -> 1
 * bug LOCKERS=1 WAITERS=2 MOVE_TO_FREE (end state): a broadcast moves a waiter to the queue of a free mutex
 * bug LOCKERS=0 WAITERS=3 UNMARKED_RELOCK (end state): a moved waiter that is woken takes the mutex by 0 -> 1, as it once did
 * bug LIVENESS LOCKERS=3 NO_HAND_OVER (cycle): who was woken in vain is only woken again
 */
#ifndef LOCKERS
#define LOCKERS 2
#endif
#ifndef WAITERS
#define WAITERS 0
#endif
#if WAITERS
#define ROUNDS 1
#define N (LOCKERS + WAITERS + 1)  /* and who broadcasts */
#else
#define ROUNDS 2
#define N LOCKERS
#endif
#define NOBODY N

byte word;                           /* __lock */
chan mutex_queue = [N] of { byte };  /* the nodes in its bucket, first come first */
bool starved[N], granted[N];         /* the nodes' */
bool permit[N];                      /* wake() */
byte holders;
#if WAITERS
chan cond_queue = [N] of { byte };
bool cond_lock;                      /* its bucket's */
bool moved[N];                       /* the node's key is the mutex */
chan list = [N] of { byte };         /* of the broadcaster: to be woken */
bool flag;
#endif
#ifdef LIVENESS
bool wants[N];
#endif

inline wake(n) {
  if
  :: atomic { n != NOBODY -> assert(!permit[n]); permit[n] = true; n = NOBODY }
  :: else
  fi
}

/* lock_slow(): got = locked; otherwise its time was up. */
inline lock_slow(me, timed, got) {
  do
  ::
#ifdef BLIND_QUEUE
     word = 2;
     mutex_queue!me;
#else
#ifdef ONE_AGAIN
     if
     :: atomic { starved[me] && word == 0 -> word = 1; got = true; break }
     :: else
     fi;
#endif
     atomic {
       if
       :: word == 0 -> word = 2; got = true; break
       :: else -> word = 2; mutex_queue!me
       fi
     }
#endif
     if
     :: atomic { permit[me] ->
          permit[me] = false;
          if
          :: granted[me] -> granted[me] = false; got = true; break
          :: else -> starved[me] = true
          fi
        }
     :: atomic { timed && mutex_queue??[eval(me)] -> mutex_queue??eval(me); got = false; break }
     fi
  od;
  starved[me] = false
}
inline mutex_lock(me, timed, got) {
  if
  :: atomic { word == 0 -> word = 1; got = true }
  :: else -> lock_slow(me, timed, got)
  fi
}

inline mutex_unlock(n) {
  if
#ifdef STORED_UNLOCK
  :: word == 1 -> word = 0
#else
  :: atomic { word == 1 -> word = 0 }
#endif
  :: else ->  /* unlock_slow() */
     atomic {
       if
       :: mutex_queue?n ->
          if
#ifndef NO_HAND_OVER
          :: starved[n] ->
             granted[n] = true
#ifdef FREE_GRANT
             ; word = 0
#endif
          :: !starved[n] -> word = 0
#else
          :: true -> word = 0
#endif
          fi
       :: empty(mutex_queue) -> word = 0
       fi
     }
     wake(n)
  fi
}

inline inside() {
  atomic { holders++; assert(holders == 1) }
}
inline outside() {
  holders--
}

#ifndef LIVENESS
proctype Locker(byte me) {
  byte rounds, n = NOBODY;
  bool got, timed;
  do
  :: rounds < ROUNDS ->
     rounds++;
     if
     :: timed = true
     :: timed = false
     fi;
     mutex_lock(me, timed, got);
     if
     :: got -> inside(); got = false; outside(); mutex_unlock(n)
     :: else
     fi
  :: else -> break
  od
}
#else
/* Waits, is let in, comes again. */
proctype Locker(byte me) {
  byte n = NOBODY;
  bool got;
  do
  :: wants[me] = true;
     mutex_lock(me, false, got);
     wants[me] = false;
     mutex_unlock(n)
  od
}
#endif

#if WAITERS
/* lock; while (!flag) wait, with a time-out or not; unlock */
proctype CondWaiter(byte me) {
  byte n = NOBODY;
  bool got, timed, waited;
  mutex_lock(me, false, got);
  inside();
  do
  :: !flag ->
     got = false;
     atomic { !cond_lock -> cond_queue!me; if :: !waited -> timed = true :: true fi; waited = true }
     outside();
     mutex_unlock(n);
     if  /* wait_on() */
     :: atomic { permit[me] -> permit[me] = false; timed = false }
     :: atomic { timed && !cond_lock && cond_queue??[eval(me)] -> cond_queue??eval(me); timed = false }
     :: atomic { timed && mutex_queue??[eval(me)] -> mutex_queue??eval(me); timed = false }
     fi;
     if
     :: granted[me] -> granted[me] = false
     :: else ->  /* mutex_relock() */
#ifdef UNMARKED_RELOCK
        mutex_lock(me, false, got)
#else
        if
        :: moved[me] -> lock_slow(me, false, got)
        :: else -> mutex_lock(me, false, got)
        fi
#endif
     fi;
     atomic { inside(); moved[me] = false }
  :: else -> break
  od;
  outside();
  mutex_unlock(n)
}

/* lock; flag = 1; broadcast; unlock: or the broadcast after the unlock */
proctype Broadcaster(byte me) {
  byte n = NOBODY, w = NOBODY, first = NOBODY;
  bool got, inside_lock;
  mutex_lock(me, false, got);
  inside();
  flag = true;
  if
  :: inside_lock = true
  :: outside(); mutex_unlock(n)
  fi;
  atomic { !cond_lock -> cond_lock = true }
  do
  :: atomic { cond_queue?w ->
       if
       :: first == NOBODY -> first = w; w = NOBODY
       :: else
       fi
     }
     if
     :: w != NOBODY ->
        if
#ifdef MOVE_TO_FREE
        :: atomic { true -> moved[w] = true; mutex_queue!w; w = NOBODY }
#else
        :: atomic { word != 0 -> word = 2; moved[w] = true; mutex_queue!w; w = NOBODY }  /* mutex_adopt_waiter() */
#endif
        :: true -> list!w; w = NOBODY  /* it is free, or its bucket's lock can't be had */
        fi
     :: else
     fi
  :: empty(cond_queue) -> break
  od;
  cond_lock = false;
  wake(first);
  do
  :: list?w -> wake(w)
  :: empty(list) -> break
  od;
  if
  :: inside_lock -> outside(); mutex_unlock(n)
  :: else
  fi
}
#endif

init {
  byte i;
  atomic {
    do
    :: i < LOCKERS -> run Locker(i); i++
    :: else -> break
    od;
#if WAITERS
    do
    :: i < LOCKERS + WAITERS -> run CondWaiter(i); i++
    :: else -> break
    od;
    run Broadcaster(i)
#endif
  }
  i = 0;
  _nr_pr == 1;
  assert(word == 0 && empty(mutex_queue))
}

#ifdef LIVENESS
ltl served { [](wants[0] -> <>!wants[0]) }
#endif
