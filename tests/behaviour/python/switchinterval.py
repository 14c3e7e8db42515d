"""sys.setswitchinterval is respected: threads that compute take turns about every 5 ms, or every 50 ms, as it says; under the shim each has its turns."""
import os, sys, threading, time

THREADS, SECONDS = 3, 0.8


def switches(interval):
    """How often another thread ran than before, each one's turns, and the wall time that it took."""
    sys.setswitchinterval(interval)
    assert abs(sys.getswitchinterval() - interval) < 1e-6
    seen, last, turns = [0], [None], [0] * THREADS
    # CPU time, so that a busy machine has as many intervals in it.
    begun, until = time.monotonic(), time.process_time() + SECONDS
    def compute(me):
        while time.process_time() < until:
            for _ in range(100):
                if last[0] is not me:
                    last[0] = me
                    seen[0] += 1
                    turns[me] += 1
    threads = [threading.Thread(target=compute, args=(i,)) for i in range(THREADS)]
    for t in threads: t.start()
    for t in threads: t.join()
    return seen[0], turns, time.monotonic() - begun


slow, slow_turns, slow_took = switches(0.05)
fast, fast_turns, fast_took = switches(0.005)
print(f"{slow} switches in {slow_took:.2f} s with 0.05 s {slow_turns}, {fast} in {fast_took:.2f} s with 0.005 s {fast_turns}")
assert slow <= slow_took / 0.05 * 1.2 + 2 * THREADS, "more often than the interval allows"
assert fast <= fast_took / 0.005 * 1.2 + 2 * THREADS, "more often than the interval allows"
assert slow >= SECONDS / 0.05 / 4, "the waiting ones don't get the GIL"
# With less than a quarter of a CPU the kernel's turns are longer than the shorter interval.
assert fast_took > 4 * SECONDS or fast / fast_took >= 2.5 * slow / slow_took, "the interval makes no difference"
# Natively the GIL may pass to and fro between two of them for all that time (8, 8 and no turn were seen): whom the kernel wakes first has it.
assert "LD_PRELOAD" not in os.environ or min(fast_turns) * 2 >= max(fast_turns), "not in turns"
