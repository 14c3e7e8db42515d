"""100,000 C threads wait, each in its turn on a semaphore, on semaphores of their own (with deadlines, too), on a condition variable; are woken and
joined: a thread must cost the same as among 10,000. And what memory one takes while it waits, with a stack of 64 KiB and with the
default, must not grow by 10 % over what it is now. Natively 1,000, without bounds.

`scripts/vtrun tests/behaviour/scale/c_threads.py --long`: 1,000,000, under the default limits. It stops when less than 3 GiB are left.
"""
import os, signal, subprocess, sys, tempfile, time

shim, chaos = os.environ.pop("LD_PRELOAD", None), os.environ.get("VTSHIM_CHAOS", "0") != "0"
FEW, MANY = (10_000, 1_000_000) if "--long" in sys.argv else (2_000, 20_000) if chaos else (10_000, 100_000) if shim else (500, 1_000)
SMALL = 1 << 16
NOW = {SMALL: 8504 + 153, 0: 8504 + 4145}  # bytes a thread: resident, and page tables (runtime/HACKING.md, "Memory of a thread")
LEFT = 3 << 20  # KiB
FLAT = 5  # not 10 or 100, as if anything were looked through; but caches hold few threads only, and the machine may be busy
source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/scale.c")
exe = os.path.join(tempfile.mkdtemp(), "scale")
subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-pthread", source, "-o", exe], check=True)
errors = []


def available():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))


def run(on, threads, stack=SMALL):
    argv = [exe, "--on", on, "--threads", str(threads), "--stack", str(stack)]
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ | ({"LD_PRELOAD": shim} if shim else {}))
    least, maps = available(), 0
    while p.poll() is None:
        least = min(least, available())
        try:
            with open(f"/proc/{p.pid}/maps") as f: maps = max(maps, len(f.readlines()))
        except OSError:
            pass
        if least < LEFT: p.kill()
        time.sleep(0.3)
    words = p.stdout.read().split()
    print(f"{on:6} {stack >> 10:4} KiB, {maps} mappings, {least >> 10} MiB left:", *words, flush=True)
    assert p.returncode == 0, f"{' '.join(argv)}: {p.returncode}" + (f", killed: only {least >> 10} MiB left" if least < LEFT else "")
    if shim and maps > 1000: errors.append(f"{maps} mappings")  # of 65,530
    return dict(zip(words[::2], map(float, words[1::2])))


for on in ("sem", "own", "timed", "cond"):
    few, many = run(on, FEW), run(on, MANY)
    ratios = {key: many[key] / few[key] for key in ("create_ns", "end_ns")}
    print(f"{on}: {MANY:,} against {FEW:,}:", *(f"{key[:-3]} {r:.2f} x" for key, r in ratios.items()), flush=True)
    if shim and not chaos and max(ratios.values()) > FLAT: errors.append(f"{on}: {ratios}")
memory = {SMALL: many, 0: run("sem", MANY if shim else FEW, 0)}
for stack, found in memory.items():
    used = found["rss_bytes"] + found["table_bytes"]
    print(f"stacks of {f'{stack >> 10} KiB' if stack else 'the default size'}: {used:.0f} bytes a thread", flush=True)
    if shim and used > 1.1 * NOW[stack]: errors.append(f"{used:.0f} bytes a thread, {NOW[stack]} are usual")
print("\n".join(errors))
sys.exit(1 if errors else 0)
