"""What the Python benchmark programs share: a calibrated measurement, as bench.h's for the C ones, and two sides of a ping-pong."""
import statistics
import sys
import threading
import time


def seconds():
    return float(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 1.0


def calibrate(run, wanted):
    """Calls run(n) with growing n until it lasts a quarter of `wanted` seconds: how many would last about that long."""
    n = 100
    while True:
        start = time.perf_counter()
        run(n)
        took = time.perf_counter() - start
        if took >= wanted / 4:
            return int(n * wanted / took) + 1
        n = int(n * min(10, max(2, wanted / 3 / took)))


def timed(run, n):
    """Nanoseconds an operation."""
    start = time.perf_counter()
    run(n)
    return (time.perf_counter() - start) / n * 1e9


def measure(run):
    """run(n) once for about --seconds, after a warm-up; prints ns_per_op."""
    print(f"ns_per_op {timed(run, calibrate(run, seconds())):.1f}")


def play(serve, drive, in_main):
    """Both sides to their ends: in two workers, or the second one in the calling thread, main."""
    threads = [threading.Thread(target=f) for f in ((serve,) if in_main else (serve, drive))]
    for t in threads:
        t.start()
    if in_main:
        drive()
    for t in threads:
        t.join()


def pingpong(run):
    """Measures run(n, in_main): two workers; with --main, main and a worker; with --compare, both in turns: prints their ratio."""
    if "--compare" not in sys.argv:
        return measure(lambda n: run(n, "--main" in sys.argv))
    windows = 5
    n = calibrate(lambda n: run(n, False), seconds() / 2 / windows)
    pairs = [(timed(lambda n: run(n, True), n), timed(lambda n: run(n, False), n)) for _ in range(windows)]
    print(f"main_over_workers {statistics.median(a / b for a, b in pairs):.3f}",
          *(f"{name} {statistics.median(p[i] for p in pairs):.1f}" for i, name in enumerate(("main_ns", "workers_ns"))))
