"""Four threads compute in Python until the time is up; prints what they did a second, each one's share (1 is a fair one) and the same a
second of CPU time. --share prints the worst share's distance from 1 first."""
import sys
import threading
import time

import calibrated

THREADS = 4


def compute(until, done, me):
    turns = 0
    while time.perf_counter() < until:
        for _ in range(200):
            turns += 1
        done[me] = turns


def run(seconds):
    done = [0] * THREADS
    start, cpu = time.perf_counter(), time.process_time()
    threads = [threading.Thread(target=compute, args=(start + seconds, done, i)) for i in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return done, time.perf_counter() - start, time.process_time() - cpu


run(0.1)
done, took, cpu = run(max(1.0, calibrated.seconds()))  # in less, the switch interval of 5 ms leaves the shares to chance
shares = [n * THREADS / sum(done) for n in done]
found = {"turns_per_s": sum(done) / took, "turns_per_cpu_s": sum(done) / cpu} | {f"share_{i}": s for i, s in enumerate(shares)}
if "--share" in sys.argv:
    found = {"worst_share_off": max(abs(s - 1) for s in shares)} | found
print(*(f"{key} {value:.4g}" for key, value in found.items()))
