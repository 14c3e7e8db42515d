"""What the Python benchmark programs share: a calibrated measurement, as bench.h's for the C ones."""
import sys
import time


def seconds():
    return float(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 1.0


def measure(run):
    """Calls run(n) with growing n until it lasts a quarter of --seconds, then once for about --seconds; prints ns_per_op."""
    wanted, n = seconds(), 100
    while True:
        start = time.perf_counter()
        run(n)
        took = time.perf_counter() - start
        if took >= wanted / 4:
            break
        n = int(n * min(10, max(2, wanted / 3 / took)))
    n = int(n * wanted / took) + 1
    start = time.perf_counter()
    run(n)
    print(f"ns_per_op {(time.perf_counter() - start) / n * 1e9:.1f}")
