/* The wait table: a wait with a time-out against those who wake and those who move nodes to another queue.
 *
 * Stands for: core/wait_table.cpp wait_on(), wait_platform(), take_out(), on_deadline(), wake(), wake_all(); core/timer_heap.cpp arm(),
 * disarm(), expire(); sync/cond.cpp cond_wait(), cond_signal(), take_first(), cond_broadcast(); sync/mutex.cpp mutex_adopt_waiter() and
 * unlock_slow(), as far as they take nodes out.
 * Proved: a node is dequeued once for each wait, under the lock of the bucket that it is in; its owner is woken once; nobody touches it
 * after its wait has returned (the same memory serves the next wait: `turn` tells them apart), so disarm() is final; no waiter is
 * left behind; the count in the condition variable is right in the end. park() and unpark() are a permit here: park.pml.
 * Left out: what the woken do with the mutex (mutex.pml).
 * Where the model isn't the code of 4f02b38, but what it should be: see bug OWN_COUNT and bug LATE_ERROR.
 *
 * config NW=2 ROUNDS=2: two waiters that come back
 * config NW=3 ROUNDS=1: three
 * config NW=2 ROUNDS=1 SAME_BUCKET: the condition variable and the mutex have the same bucket
 * config NW=2 ROUNDS=1 DESTROY: the condition variable is destroyed as soon as its waiters have been woken, as POSIX allows
 * bug UNLOCKED_KEY (assertion): take_out() doesn't look at the key again once it has the bucket's lock
 * bug BLIND_TAKE_OUT (assertion): nor whether the node is still queued
 * bug ONE_LOCK (assertion): who moves a node doesn't lock the bucket that it moves to
 * bug EARLY_NULL (assertion): expire() says that the timer is no longer armed, then fires it
 * bug UNLOCKED_FIRE (assertion): expire() fires without the heap's lock
 * bug LATE_NEXT (assertion): who wakes a list of nodes reads `next` after the wake
 * bug WOKEN_AND_MOVED (assertion): a broadcast wakes what it has moved
 * bug SILENT_TAKE_OUT (assertion): the timer takes the node out but wakes nobody
 * bug DESTROY NW=2 ROUNDS=1 OWN_COUNT (assertion): as it was once: a waiter whose time was up takes itself off the count when it runs again
 * bug LATE_ERROR (assertion): as it was once: the waiter that doesn't own the mutex notices it when its node is queued, and takes it
 *   out of the condition variable's queue, wherever it is by then
 */
#ifndef NW
#define NW 2      /* waiters */
#define ROUNDS 1  /* waits of each */
#endif

mtype = { Nowhere, Cond, Mutex };             /* keys */
mtype = { Queued, Woken, TimedOut };          /* WaitResult */

bool alive[NW];              /* the node: from its constructor until its wait returns */
byte turn[NW];               /* which wait */
mtype key[NW] = Nowhere;
mtype result[NW] = Woken;
mtype in[NW] = Nowhere;      /* in whose bucket's list it is */
bool platform[NW];           /* the owner is a platform thread */
bool permit[NW];             /* unpark(), or the node's `woken` */
bool timer_in_tree[NW];
bool timer_heap[NW];         /* Timer::heap isn't null */
byte dequeued[NW];
byte waiters;                /* the condition variable's count */
bool cond_alive = true;
byte entered, ended;

byte bucket_lock[2];  /* 0, or the holder's _pid + 1 */
bool heap_lock;
#ifdef SAME_BUCKET
#define BUCKET(k) 0
#else
#define BUCKET(k) (k == Mutex -> 1 : 0)
#endif
inline lock(k) { atomic { !bucket_lock[BUCKET(k)] -> bucket_lock[BUCKET(k)] = _pid + 1 } }
inline unlock(k) { bucket_lock[BUCKET(k)] = 0 }

#define HELD(k) (bucket_lock[BUCKET(k)] == _pid + 1)
#define TOUCH(n, t) assert(alive[n] && turn[n] == t)

/* Bucket::remove(). */
inline remove(n, k, why) {
  assert(HELD(k) && alive[n] && in[n] == k && result[n] == Queued);
  in[n] = Nowhere;
  result[n] = why;
  dequeued[n]++
}

/* The last touch of the node. */
inline wake(n, t) {
  atomic {
    TOUCH(n, t);
    assert(!permit[n]);  /* a second unpark(), or of a thread that doesn't wait */
    permit[n] = true
  }
}

/* took = whether the caller now owes the wake. */
inline take_out(n, t, why, took) {
  took = false;
  do
  :: atomic { TOUCH(n, t); k = key[n] }
     lock(k);
     atomic {
       TOUCH(n, t);
       if
#ifndef UNLOCKED_KEY
       :: key[n] != k -> unlock(k)
       :: else ->
#else
       :: true ->
#endif
          if
#ifndef BLIND_TAKE_OUT
          :: result[n] == Queued ->
#else
          :: true ->
#endif
             remove(n, k, why);
             took = true;
#ifndef OWN_COUNT
             if
             :: k == Cond -> assert(cond_alive); waiters--
             :: else
             fi
#endif
          :: result[n] != Queued
          fi;
          unlock(k);
          break
       fi
     }
  od
}

proctype Waiter(byte n) {
  byte rounds;
  mtype k;
  bool timed, took;
  do
  :: rounds < ROUNDS ->
     atomic {
       rounds++;
       turn[n]++; alive[n] = true; dequeued[n] = 0;
#if NW > 2
       platform[n] = (n == 2);  /* so that there is less to search */
       timed = (n != 0)
#else
       if
       :: platform[n] = true
       :: platform[n] = false
       fi;
       if
       :: timed = true
       :: timed = false
       fi
#endif
     }
     lock(Cond);
     atomic {
       assert(cond_alive);
       waiters++;
       key[n] = Cond; result[n] = Queued; in[n] = Cond;
       entered++;
       unlock(Cond)
     }
#ifdef LATE_ERROR
     if
     :: lock(Cond);
        atomic {
          if
          :: result[n] == Queued -> remove(n, Cond, TimedOut); waiters--; unlock(Cond); goto returned
          :: else -> unlock(Cond)
          fi
        }
     :: skip
     fi;
#endif
     if
     :: platform[n] ->  /* wait_platform() */
        do
        :: atomic { permit[n] -> permit[n] = false; break }
        :: timed ->
           take_out(n, turn[n], TimedOut, took);
           timed = false;
           if
           :: took -> break
           :: else  /* the wake-up is on its way */
           fi
        od
     :: else ->  /* wait_on() */
        if
        :: timed -> atomic { !heap_lock -> timer_in_tree[n] = true; timer_heap[n] = true }
        :: else
        fi;
        atomic { permit[n] -> permit[n] = false }  /* park() */
        if
        :: timed ->  /* disarm() */
           if
           :: timer_heap[n] ->
              atomic { !heap_lock -> heap_lock = true }
              atomic { if :: timer_heap[n] -> timer_in_tree[n] = false; timer_heap[n] = false :: else fi; heap_lock = false }
           :: else
           fi
        :: else
        fi
     fi;
#ifdef OWN_COUNT
     if
     :: result[n] == TimedOut && key[n] == Cond -> atomic { assert(cond_alive); waiters-- }
     :: else
     fi;
#endif
returned:
     atomic {
       assert(dequeued[n] == 1 && in[n] == Nowhere && !permit[n]);
       timed = false; took = false; k = 0;
       alive[n] = false
     }
  :: else -> break
  od;
  ended++
}

/* expire(), of the carrier's loop or the monitor. */
proctype Expirer() {
  byte n, t;
  bool took;
  mtype k;
end:
  do
  :: atomic {
       !heap_lock && (timer_in_tree[0] || timer_in_tree[1] || timer_in_tree[NW - 1]) ->
       heap_lock = true;
       if
       :: timer_in_tree[0] -> n = 0
       :: timer_in_tree[1] -> n = 1
#if NW > 2
       :: timer_in_tree[2] -> n = 2
#endif
       fi;
       timer_in_tree[n] = false;
       t = turn[n]
     }
#ifdef UNLOCKED_FIRE
     heap_lock = false;
#endif
#ifdef EARLY_NULL
     timer_heap[n] = false;
#endif
     take_out(n, t, TimedOut, took);
#ifndef SILENT_TAKE_OUT
     if
     :: took -> wake(n, t)
     :: else
     fi;
#endif
#ifndef EARLY_NULL
     atomic { TOUCH(n, t); timer_heap[n] = false };
#endif
     heap_lock = false;
     atomic { took = false; n = 0; t = 0; k = 0 }
  od
}

/* cond_signal(); for the mutex's queue, unlock_slow(). */
inline wake_first(q) {
  atomic {
    if
    :: in[0] == q -> n = 0
    :: in[1] == q -> n = 1
#if NW > 2
    :: in[2] == q -> n = 2
#endif
    :: else -> n = NW
    fi;
    if
    :: n < NW ->
       remove(n, q, Woken);
       t = turn[n];
       if
       :: q == Cond -> assert(cond_alive); waiters--
       :: else
       fi
    :: else
    fi;
    unlock(q)
  }
  if
  :: n < NW -> wake(n, t)
  :: else
  fi;
  atomic { n = 0; t = 0 }
}

proctype Unlocker() {
  byte n, t;
end:
  do
  :: atomic { (in[0] == Mutex || in[1] == Mutex || in[NW - 1] == Mutex) && !bucket_lock[BUCKET(Mutex)] -> bucket_lock[BUCKET(Mutex)] = _pid + 1 }
     wake_first(Mutex)
  od
}

/* cond_broadcast(): wakes one and moves the others to the mutex's queue, or wakes them too (the mutex is free, or its bucket is busy). */
inline broadcast() {
  do
  :: n < NW && in[n] == Cond ->
     atomic { remove(n, Cond, Woken); assert(cond_alive); waiters--; turns[n] = turn[n] }
     if
     :: !first ->
#if !defined(SAME_BUCKET) && !defined(ONE_LOCK)
        atomic { !bucket_lock[1] -> bucket_lock[1] = _pid + 1 }  /* try_lock; or it fails: the other branches */
#endif
        key[n] = Mutex;
        /* Nobody else may be in that list now. */
        atomic { assert(HELD(Cond) && (HELD(Mutex) || !bucket_lock[BUCKET(Mutex)])); dequeued[n]--; in[n] = Mutex; result[n] = Queued }
#if !defined(SAME_BUCKET) && !defined(ONE_LOCK)
        bucket_lock[1] = 0
#endif
#ifdef WOKEN_AND_MOVED
        ; listed[n] = true
#endif
     :: atomic { true -> listed[n] = true; first = false }
     fi;
     n++
  :: n < NW && in[n] != Cond -> n++
  :: n == NW -> break
  od;
  atomic { unlock(Cond); n = 0; first = true }
  do
  :: n < NW && listed[n] ->
#ifndef LATE_NEXT
     TOUCH(n, turns[n]);  /* next */
#endif
     wake(n, turns[n]);
#ifdef LATE_NEXT
     TOUCH(n, turns[n]);
#endif
     atomic { listed[n] = false; turns[n] = 0; n++ }
  :: n < NW && !listed[n] -> n++
  :: n == NW -> break
  od;
  n = 0
}

#ifdef DESTROY
proctype Destroyer() {
  byte n, turns[NW];
  bool first = true, listed[NW];
  atomic { entered == NW && !bucket_lock[0] -> bucket_lock[0] = _pid + 1 }
  broadcast();
  cond_alive = false
}
#else
proctype Waker() {
  byte n, t, turns[NW];
  bool first = true, listed[NW];
end:
  do
  :: atomic { waiters && !bucket_lock[0] -> bucket_lock[0] = _pid + 1 }
     if
     :: wake_first(Cond)
     :: broadcast()
     fi
  od
}
#endif

proctype Check() {
  timeout;
  assert(ended == NW && waiters == 0)
}

init {
  byte n;
  atomic {
    do
    :: n < NW -> run Waiter(n); n++
    :: else -> break
    od;
    n = 0;
    run Expirer(); run Unlocker(); run Check();
#ifdef DESTROY
    run Destroyer()
#else
    run Waker()
#endif
  }
}
