/* Semaphores: posts that race with waiters, with who doesn't wait, and with the end of the semaphore's memory.
 *
 * Stands for: sync/sem.cpp take(), sem_acquire(), sem_try(), sem_release(), grant(), hand_over(); sync/futex.cpp futex_wake().
 * The owner frees the semaphore once its users have returned from sem_wait and the posts that they counted on have been added: the posters may
 * still be in sem_post. At the same address there is then nothing, another object in which somebody waits, or a new semaphore.
 * Proved: after its add a poster touches only a semaphore, and only while a node for it is queued and the bucket is locked; a waiter that
 * returns 0 has taken one unit, none is lost or made up; no waiter is left while there are units.
 * A post for several waiters only wakes the first, who takes the unit if nobody was quicker, and is handed one the next time.
 * Left out: posts from signal handlers (deferred ones are hand_over() by key at any later time, so they are covered), overflow.
 * Where the model isn't the code of 4f02b38, but what it should be: see bugs ANY_KIND and WOKEN_BY_KEY. The buckets know addresses only.
 *
 * bug LOOK_THEN_MARK (assertion): the waiter's second look comes before its mark
 * bug LATE_TOUCH (assertion): the poster looks at the marks after its add, as glibc did before 2.21
 * bug LATE_TAKE (assertion): the poster wakes the waiter, then takes unit and mark off
 * bug LATE_MARK (assertion): who wakes a waiter without handing it the unit takes its mark off afterwards
 * bug BLIND_GRANT (assertion): the poster grants without looking whether the unit is still there
 * bug ANY_KIND (assertion): as it was once: a late poster takes any node with that key for a semaphore's
 * bug WOKEN_BY_KEY (assertion): as it was once: a late FUTEX_WAKE on an address that is now a semaphore's ends a sem_wait
 */
#define N 3          /* waiters: 0, 1 with a time-out, 2 in the new semaphore */
#define NOBODY N

mtype = { Nothing, Semaphore, Other };

mtype kind = Semaphore;          /* what is at the address */
byte life;                       /* changes when it changes hands */
byte value, marks;               /* the two halves of the word */
chan queue = [N] of { byte };    /* its key's nodes in the bucket */
bool other_waits;                /* a node of another kind, with the same key */
bool bucket_lock;
bool starved[N], granted[N], permit[N];
byte taken, added, using = 3;    /* in the present life; who is still to return from sem_wait, sem_trywait */
byte missing = 2, ended;         /* posts that the owner counts on */

inline lock() { atomic { !bucket_lock -> bucket_lock = true } }
inline unlock() { bucket_lock = false }

/* take() */
inline take(got) {
  atomic {
    assert(kind == Semaphore);
    if
    :: value -> value--; taken++; got = true
    :: else -> got = false
    fi
  }
}

inline wake(n) {
  atomic { assert(!permit[n]); permit[n] = true }
}

inline hand_over() {
  lock();
  if
#ifdef ANY_KIND
  :: other_waits -> assert(kind == Semaphore)  /* its node is the first: its word is changed as a semaphore's */
#endif
  :: len(queue) ->
#ifndef BLIND_GRANT
     atomic {  /* the load */
       assert(kind == Semaphore);
       if
       :: value == 0 -> unlock(); goto given
       :: else
       fi
     }
#endif
#ifdef LATE_TAKE
     atomic { queue?n; granted[n] = true; unlock() }
     wake(n);
     atomic { assert(kind == Semaphore && life == then && value); value--; marks--; taken++ }
#else
     queue?<n>;
     if
     :: atomic { !starved[n] ->
#ifndef LATE_MARK
          marks--;
#endif
          queue?n; unlock() }
        wake(n);
#ifdef LATE_MARK
        atomic { assert(kind == Semaphore && life == then); marks-- };
#endif
        goto given
     :: else
     fi;
     atomic {  /* the CAS; or others have taken the unit since the load */
       if
#ifndef BLIND_GRANT
       :: value == 0 -> unlock(); goto given
#endif
       :: else -> assert(kind == Semaphore && value); value--; marks--; taken++; queue?n; granted[n] = true; unlock()
       fi
     }
     wake(n)
#endif
  :: else -> unlock()
  fi;
given:
  n = NOBODY
}

inline sem_release(counted) {
  /* grant(): where one waits, and not in a handler on top of the runtime, the unit never shows in the word */
  atomic { assert(kind == Semaphore); then = life; d = marks }
  if
  :: atomic { d == 1 -> d = 0 }
     lock();
     if
     :: len(queue) ->
        atomic { assert(kind == Semaphore && life == then); marks--; added++; taken++; missing = missing - counted; queue?n; granted[n] = true; unlock() }
        wake(n);
        n = NOBODY;
        goto posted
     :: else -> unlock()  /* it has timed out */
     fi
  :: true
  fi;
  atomic { assert(kind == Semaphore); then = life; d = marks; value++; added++; missing = missing - counted }
#ifdef LATE_TOUCH
  atomic { assert(kind == Semaphore && life == then); d = marks }
#endif
  if
  :: atomic { d -> d = 0 }
     hand_over()
  :: else
  fi;
posted:
  skip
}

inline sem_acquire(me, timed, got) {
  take(got);
  if
  :: got -> goto returned
  :: else
  fi;
again:
  lock();
#ifdef LOOK_THEN_MARK
  take(got);
  marks++;
#else
  marks++;
  take(got);
#endif
  if
  :: atomic { got -> marks--; unlock(); goto returned }
  :: atomic { else -> queue!me; unlock() }
  fi;
  if
  :: atomic { permit[me] -> permit[me] = false;
       if
       :: granted[me] -> granted[me] = false; got = true
       :: else -> starved[me] = true; goto again
       fi
     }
  :: atomic { timed && !bucket_lock && queue??[eval(me)] -> queue??eval(me) }
     marks--
  fi;
returned:
  skip
}

proctype Waiter(byte me) {
  bool got;
  sem_acquire(me, (me == 1), got);
  atomic { using--; ended++ }
}

/* Doesn't wait; what it takes it gives back. */
proctype Trier() {
  byte n = NOBODY, then, d;
  bool got;
  take(got);
  if
  :: got -> sem_release(0)
  :: else
  fi;
  atomic { using--; ended++ }
}

proctype Poster(byte counted) {
  byte n = NOBODY, then, d;
  sem_release(counted);
  ended++
}

/* Somebody's futex(FUTEX_WAKE) that comes late: on Linux the address may be anything by then. */
proctype FutexWaker() {
#ifdef WOKEN_BY_KEY
  byte n;
  if
  :: atomic { !bucket_lock && nempty(queue) -> queue?n }
     wake(n)
  :: true
  fi
#else
  skip  /* there is no node of its kind */
#endif
}

proctype Owner() {
  atomic {
    using == 0 && missing == 0 ->
    assert(marks == 0 && empty(queue) && value == added - taken);
    life++;
    value = 0; added = 0; taken = 0;
    if
    :: kind = Nothing
    :: kind = Other; other_waits = true
    :: kind = Semaphore; using = 1; run Waiter(2); run Poster(0)
    fi
  }
}

proctype Check() {
  timeout;
  assert(life == 1 && ended == 5 + (kind == Semaphore -> 2 : 0));
  assert(kind != Semaphore || (marks == 0 && value == added - taken))
}

init {
  atomic { run Waiter(0); run Waiter(1); run Trier(); run Poster(1); run Poster(1); run FutexWaker(); run Owner(); run Check() }
}
