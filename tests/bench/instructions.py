#!/usr/bin/env python3
"""Instructions and system calls of the hot paths, counted exactly (count_steps) and compared with what is recorded in instructions.json: more
than 5 % more instructions, or a system call more, fails. The counts are the same on every machine for one build: address randomisation is off,
libc's string functions are the plainest, one carrier runs.

`instructions.py` prints and compares, `--record` records anew, `--profile OPERATION` tells in which functions the instructions are."""
import argparse
import bisect
import collections
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
RECORD = os.path.join(HERE, "instructions.json")
TOLERANCE = 0.05
MORE = 0.5  # system calls an operation: stepped through, a window may see the end of a batch's time, and one or two calls for it
COUNT = 10
OPERATIONS = {
    "mutex": "lock and unlock of a mutex that nobody else wants",
    "park": "a turn through two semaphores to another thread and back: 2 parks, 2 unparks",
    "cond": "the same through a mutex and condition variables",
    "read": "a byte that is there is read from a pipe",
    "recv": "a byte that is there is received from a socket",
    "write": "a byte is written to a pipe with room",
    "echo": "a byte through a socket pair to another thread and back",
    "spawn": "a thread is created and joined",
}
BACK_ENDS = ("arch_prctl", "fsgsbase", "swap")
SETTINGS = {"VTSHIM_CARRIERS": "1",
            # Which variants libc takes depends on the CPU.
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM"}


class CountFailed(Exception):
    """The program under the counter failed, or nothing was counted."""


def run(build: str, operation: str, back_end: str, **more: str) -> subprocess.CompletedProcess:
    settings = SETTINGS | {"LD_PRELOAD": os.path.join(build, "libvtshim.so"), "VTSHIM_TLS": back_end} | more
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("VTSHIM_")}
    programs = os.path.join(build, "tests", "bench")
    argv = [os.path.join(programs, "count_steps"), *(f"{k}={v}" for k, v in settings.items()), "--", os.path.join(programs, "hot_paths"),
            operation, "--count", str(COUNT)]
    try:
        r = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        raise CountFailed(f"{operation} under {back_end} hung") from None
    if r.returncode and r.returncode != 77:
        raise CountFailed(f"{operation} under {back_end} ended with {r.returncode}: {r.stderr[-500:].strip()}")
    return r


def count(build: str, operation: str, back_end: str) -> dict[str, float] | None:
    """Instructions and system calls an operation: the median of the windows. None: the library or the host has no such back end, or
    the host permits no ptrace."""
    r = run(build, operation, back_end)
    if r.returncode == 77 or "VTSHIM_TLS" in r.stderr:
        return None
    windows = [line.split() for line in r.stdout.splitlines() if line.startswith("instructions ")]
    if not windows:
        raise CountFailed(f"{operation} under {back_end}: no window was counted")
    middle = sorted((int(w[1]), int(w[3])) for w in windows)[len(windows) // 2]
    return {"instructions": middle[0] / COUNT, "syscalls": middle[1] / COUNT}


def count_all(build: str) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for back_end in BACK_ENDS:
        for operation in OPERATIONS:
            figures = count(build, operation, back_end)
            if figures is None:
                break
            found.setdefault(back_end, {})[operation] = figures
    return found


def recorded() -> dict:
    with open(RECORD) as f:
        return json.load(f)


def judge(now: dict[str, float], then: dict[str, float] | None) -> tuple[bool, str]:
    """Whether it is no worse, and a remark."""
    if then is None:
        return True, "not recorded yet"
    change = now["instructions"] / then["instructions"] - 1
    remark = f"{change * 100:+.1f} % instructions, {now['syscalls'] - then['syscalls']:+.1f} system calls"
    good = change <= TOLERANCE and now["syscalls"] < then["syscalls"] + MORE
    return good, remark + ("; better: record it" if change < -TOLERANCE or now["syscalls"] <= then["syscalls"] - MORE else "")


def check_all(pattern: str, report) -> None:
    """For tests/run_tests.py: a test for each operation and back end."""
    if not any(pattern in f"instructions/{o}.{b}" for o in OPERATIONS for b in BACK_ENDS):
        return
    build, then = os.path.join(TOP, "build"), recorded()
    for back_end in BACK_ENDS:
        for operation in OPERATIONS:
            name = f"instructions/{operation}.{back_end}"
            if pattern not in name:
                continue
            try:
                now = count(build, operation, back_end)
            except CountFailed as e:
                report([("FAIL", name, str(e).encode())])
                continue
            if now is None:
                report([("skip", f"{name} (not on this host)", b"")])
                continue
            good, remark = judge(now, then.get(back_end, {}).get(operation))
            text = (f"{name}: {now['instructions']:.1f} instructions and {now['syscalls']:.1f} system calls for {OPERATIONS[operation]}: {remark}.\n"
                    f"More than +{TOLERANCE * 100:.0f} %, or a system call more, needs a reason. If it has one: tests/bench/instructions.py --record;\n"
                    f"where the instructions are: tests/bench/instructions.py --profile {operation}")
            report([("ok" if good else "FAIL", f"{name} ({remark})", text.encode())])


def symbols(path: str) -> tuple[list[int], list[str]]:
    r = subprocess.run(["nm", "-C", "-n", "--defined-only", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if not r.stdout:
        r = subprocess.run(["nm", "-D", "-C", "-n", "--defined-only", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    rows = [line.split(" ", 2) for line in r.stdout.splitlines()]
    rows = [row for row in rows if len(row) == 3 and row[1] in "tTwWi"]
    return [int(row[0], 16) for row in rows], [row[2] for row in rows]


def profile(build: str, operation: str, back_end: str) -> None:
    """Prints in which functions an operation's instructions are."""
    maps, places, windows = [], {}, 0
    for line in run(build, operation, back_end, COUNT_PROFILE="1").stdout.splitlines():
        words = line.split()
        windows += words[0] == "instructions"
        if words[0] == "map":
            begin, end = (int(x, 16) for x in words[1].split("-"))
            maps.append((begin, end, int(words[3], 16), words[6] if len(words) > 6 else "?"))
        elif words[0] == "at":
            places[int(words[1], 16)] = int(words[2])
    known: dict[str, tuple[list[int], list[str]]] = {}
    functions: collections.Counter[str] = collections.Counter()
    for address, times in places.items():
        name = "?"
        for begin, end, offset, path in maps:
            if begin <= address < end:
                at, names = known.setdefault(path, symbols(path))
                i = bisect.bisect_right(at, address - begin + offset) - 1
                name = f"{names[i] if i >= 0 else '?'}  [{os.path.basename(path)}]"
        functions[name] += times
    operations = windows * COUNT
    print(f"{sum(functions.values()) / operations:.1f} instructions for {OPERATIONS[operation]}, {back_end}")
    for name, times in functions.most_common(40):
        print(f"{times / operations:8.1f}  {name}")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--record", action="store_true", help="writes instructions.json")
    p.add_argument("--profile", metavar="OPERATION", choices=OPERATIONS, help="where an operation's instructions are")
    p.add_argument("--tls", default="arch_prctl", choices=BACK_ENDS, help="the back end, for --profile")
    p.add_argument("--build", default=os.path.join(TOP, "build"), metavar="DIR", help="the build directory")
    args = p.parse_args()
    try:
        if args.profile:
            profile(args.build, args.profile, args.tls)
            return 0
        found = count_all(args.build)
    except CountFailed as e:
        print(f"instructions: {e}", file=sys.stderr)
        return 1
    then = recorded() if os.path.exists(RECORD) else {}
    worse = 0
    for back_end, operations in found.items():
        for operation, now in operations.items():
            good, remark = judge(now, then.get(back_end, {}).get(operation))
            worse += not good
            print(f"{back_end:11} {operation:6} {now['instructions']:8.1f} instructions {now['syscalls']:4.1f} system calls  {remark}")
    if args.record:
        with open(RECORD, "w") as f:
            json.dump(then | found, f, indent=1)  # what this host hasn't stays
            f.write("\n")
        print(f"recorded in {os.path.relpath(RECORD)}")
        return 0
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
