/* Park and unpark: the hand-shake between a thread that leaves its carrier and those who wake it.
 *
 * Stands for: core/scheduler.cpp park(), unpark(), leave(), arrive(), finish_switch(), resume(), take_over(), yield_now(),
 * leave_for_ever(); the table of states in core/vthread.h.
 * Proved: nobody jumps to a context whose registers aren't saved; no thread is on two carriers or twice in a queue; unpark() finds
 * kRunning or kParked only (its VT_CHECK); each wake-up ends exactly one park, and none is lost (else: invalid end state).
 * Left out: the idle protocol (idle.pml; here an empty queue just blocks), pins, announced blocking (its commits are kYield's shape).
 *
 * config NV=2 ROUNDS=2: two threads, two wakers that aren't on a carrier, and each other
 * config NV=3 ROUNDS=1: a third, so that switches lead from thread to thread
 * bug EARLY_COMMIT (assertion): the leaving thread itself makes kRunning -> kParked, earlier than the switch
 * bug STORED_COMMIT (end state): the commit looks and then stores kParked, where it needs a CAS
 * bug DEAF_COMMIT (end state): the commit that finds kNotified does nothing
 * bug KEPT_NOTIFICATION (assertion): park() that finds kNotified returns without making it kRunning again
 * bug QUEUED_WHILE_RUNNING (assertion): unpark() of a running thread queues it, where it must leave kNotified
 */
#ifndef NV
#define NV 2      /* virtual threads */
#define ROUNDS 2  /* parks and yields of each */
#endif
#define NC 2      /* carriers */
#define LOOP NV   /* the carrier's own context */

mtype = { kFree, kRunnable, kRunning, kNotified, kParked };  /* core/vthread.h */
mtype = { NoCommit, Park, Yield, Exit };                     /* Commit in core/carrier.h */

mtype state[NV] = kRunnable;
bool saved[NV] = true;      /* VThread::context holds its registers; true for make_fcontext's */
bool loop_saved[NC];        /* Carrier::loop_context */
byte cpu[NC] = LOOP;        /* whose code the carrier executes */
byte carrier[NV];           /* VThread::carrier */
byte leaver[NC];            /* Carrier::left; `save` is its context */
mtype commit[NC] = NoCommit;
chan queue[NC] = [NV] of { byte };  /* under the queue's lock each push and pop is one step */
bool queued[NV];
bool waits[NV];             /* its node is in the wait table: who takes it out owes one unpark */
byte owed[NV];              /* unparks that are due or under way */

/* Whichever carrier: own queue, home's, a random one in chaos mode. The model takes any. */
inline enqueue(v) {
  atomic {
    assert(!queued[v] && state[v] == kRunnable);
    queued[v] = true;
    if
    :: queue[0]!v
    :: queue[1]!v
    fi
  }
}

/* unpark(): a load; of a parked thread a store, since there is one waker; else a CAS that may fail and load again. */
inline unpark(v) {
  s = state[v];
  do
  :: s == kParked ->
     atomic { assert(state[v] == kParked); state[v] = kRunnable }
     owed[v]--;
     enqueue(v);
     break
  :: else ->
     assert(s == kRunning);  /* VT_CHECK: else it's woken twice */
#ifdef QUEUED_WHILE_RUNNING
     state[v] = kRunnable; owed[v]--; enqueue(v); break
#endif
     atomic {
       if
       :: state[v] == kRunning -> state[v] = kNotified; owed[v]--; break
       :: else -> s = state[v]
       fi
     }
  od;
  s = NoCommit
}

/* Somebody's release: takes a node out of the wait table (one step: it's under the bucket's lock); then unpark(owner). */
#if NV > 2
#define SOMEBODY (waits[0] || waits[1] || waits[2])
#else
#define SOMEBODY (waits[0] || waits[1])
#endif
inline take_node(v) {
  if
  :: waits[0] -> v = 0
  :: waits[1] -> v = 1
#if NV > 2
  :: waits[2] -> v = 2
#endif
  fi;
  waits[v] = false;
  owed[v]++
}

/* take_over(), then the jump to `v` on carrier c. The jump itself is where registers are pushed: after it `from` is off its stack,
 * and its context is known when arrive() has stored it. */
inline take_over(c, v) {
  assert(state[v] == kRunnable && !queued[v]);
  carrier[v] = c;
  state[v] = kRunning
}
inline jump(c, v) {
  assert(cpu[0] != v && cpu[1] != v && saved[v]);  /* nobody resumes a context that isn't saved */
  saved[v] = false;
  cpu[c] = v
}

/* arrive(), finish_switch() on carrier c: the first code on the other side. One step holds at most one access to what others may
 * touch at that time. */
inline arrive(c) {
  atomic {
    if
    :: commit[c] == NoCommit -> loop_saved[c] = true  /* resume(): *save is loop_context */
    :: else -> left = leaver[c]; saved[left] = true
    fi
  }
  if
  :: atomic { commit[c] == NoCommit -> skip }
#ifdef EARLY_COMMIT
  :: atomic { commit[c] == Park -> commit[c] = NoCommit; left = 0 }
#elif defined(STORED_COMMIT)
  :: atomic { commit[c] == Park && state[left] == kRunning -> commit[c] = NoCommit }
     atomic { state[left] = kParked; left = 0 }
#else
  :: atomic { commit[c] == Park && state[left] == kRunning -> commit[c] = NoCommit; state[left] = kParked; left = 0 }
#endif
#ifndef EARLY_COMMIT
  :: atomic { commit[c] == Park && state[left] != kRunning -> assert(state[left] == kNotified); commit[c] = NoCommit }
#ifdef DEAF_COMMIT
     left = 0
#else
     atomic { state[left] = kRunnable; enqueue(left); left = 0 }
#endif
#endif
  :: atomic { commit[c] == Yield -> commit[c] = NoCommit; state[left] = kRunnable; enqueue(left); left = 0 }
  :: atomic { commit[c] == Exit -> assert(state[left] == kRunning && !waits[left]); commit[c] = NoCommit; state[left] = kFree; left = 0 }
  fi
}

/* leave(): names the commit, picks the next, jumps, and comes back, perhaps elsewhere. */
inline leave(v, what) {
  c = carrier[v];
  atomic { leaver[c] = v; commit[c] = what }  /* the carrier's own fields */
  if
  :: atomic { queue[c]?next -> queued[next] = false }
     atomic { take_over(c, next); jump(c, next); next = 0 }
  :: atomic { true -> assert(loop_saved[c]); loop_saved[c] = false; cpu[c] = LOOP }  /* empty, or every 64th switch */
  fi;
}
inline come_back(v) {
  atomic { cpu[0] == v || cpu[1] == v -> c = (cpu[0] == v -> 0 : 1) }
  assert(carrier[v] == c && (cpu[0] != v || cpu[1] != v));
  arrive(c)
}

proctype VThread(byte v) {
  byte c, next, left, w, rounds;
  mtype s = NoCommit;
  come_back(v);  /* entry() in thread.cpp */
  do
  :: rounds < ROUNDS ->
     rounds++;
     waits[v] = true;  /* published, under the bucket's lock */
     /* park() */
     if
     :: atomic { state[v] == kNotified ->
#ifndef KEPT_NOTIFICATION
          state[v] = kRunning
#endif
        }
     :: else ->
#ifdef EARLY_COMMIT
        if
        :: atomic { state[v] == kRunning -> state[v] = kParked }
           leave(v, Park); come_back(v)
        :: else -> state[v] = kRunning
        fi
#else
        leave(v, Park);
        come_back(v)
#endif
     fi;
     assert(!waits[v] && owed[v] == 0)  /* its own wake-up, and no other, has brought it back */
  :: atomic { rounds < ROUNDS && SOMEBODY -> take_node(w) } unpark(w); w = 0
  :: rounds < ROUNDS -> rounds++; leave(v, Yield); come_back(v)
  :: else -> break
  od;
  leave(v, Exit)
}

/* Carrier::run(), pick(), resume(): its own queue, or stolen from the other. */
proctype CarrierLoop(byte c) {
  byte v, left;
end:
  do
  :: atomic { cpu[c] == LOOP && nempty(queue[c]) -> queue[c]?v; queued[v] = false }
again:
     atomic { take_over(c, v); jump(c, v); v = 0 }
     cpu[c] == LOOP;
     arrive(c)
  :: atomic { cpu[c] == LOOP && nempty(queue[1 - c]) -> queue[1 - c]?v; queued[v] = false }
     goto again
  od
}

/* A platform thread, a timer, a completion: whoever else wakes. */
proctype Waker() {
  byte w;
  mtype s = NoCommit;
end:
  do
  :: atomic { SOMEBODY -> take_node(w) } unpark(w); w = 0
  od
}

init {
  byte v;
  atomic {
    run CarrierLoop(0); run CarrierLoop(1);
    run Waker();
#if NV < 3
    run Waker();
#endif
    do
    :: v < NV -> queue[0]!v; queued[v] = true; run VThread(v); v++
    :: else -> break
    od
  }
}
