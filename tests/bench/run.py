#!/usr/bin/python3.11
"""Runs the benchmarks: the contenders alternate (A B A B ...) in one run, so that a slow minute hits all of them alike.

A figure of one run alone says little on a noisy machine. What is compared is the ratio of *adjacent* runs: printed is the
median of these ratios, with their range. A ratio is a speed: above 1, the contender is faster (or smaller) than the first
one, native. The preload goes to the program under test only, never to a load generator or to this runner.
"""
import argparse
import dataclasses
import json
import os
import platform
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = {CPUS[0]}, {CPUS[-1]}

# What --check asks for: the least ratio, or, for what is a difference or a bound, the most. (Issue 2, proofs 6 and 7; issue 3, proofs
# 3, 6, 7 and 9.)
TARGETS = {
    "py_lock_pingpong": 2.5,
    "py_queue_pingpong": 0.9,
    "py_event_pingpong": 0.9,
    "py_lock_pingpong_main": 2.2,
    "py_queue_pingpong_main": 0.9,
    "py_event_pingpong_main": 0.9,
    "sem_pingpong_main": 0.9,
    "py_lock_main_cost": 1.15,
    "py_queue_main_cost": 1.15,
    "py_event_main_cost": 1.15,
    "sem_main_cost": 1.15,
    "py_compress_total": 0.95,
    "py_compress_p99": 0.667,
    "py_gil_total": 0.97,
    "py_gil_share": 0.10,
    "sem_pingpong": 0.9,
    "sem_pingpong_1core": 0.9,
    "cond_pingpong": 0.9,
    "cond_pingpong_1core": 0.9,
    "echo_64": 1.3,
    "echo_1000": 0.9,
    "echo_64_unpinned": 0.9,
    "echo_1000_unpinned": 0.9,
    "py_echo_64": 0.9,
    "py_asyncio_64": 0.97,
    "py_asyncio_thread_64": 0.97,
    "py_uvloop_64": 0.97,
    "py_uvloop_thread_64": 0.97,
    "py_trio_64": 0.97,
    "py_trio_thread_64": 0.97,
    "spawn_join": 5.0,
    "spawn_join_batch100": 5.0,
    "mem_blocked": 0.9,
    "mutex_uncontended": 0.9,
    "mutex_contended": 0.9,
    "prodcons": 0.9,
    "rw_loop": 0.9,
    "startup_c": 2.0,
    "startup_python": 2.0,
}


class BenchmarkFailed(Exception):
    """A program of a benchmark failed, hung, or printed no figure."""


class NotHere(Exception):
    """A benchmark needs what isn't installed."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """One of those that alternate: a name, and the settings that its program under test gets. (Issue 5 adds peers: other
    programs, which a benchmark then looks up by the contender's name.)"""
    name: str
    env: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Context:
    """What a benchmark needs to run: where the programs are and how long to measure."""
    programs: str
    python: str
    seconds: float

    def program(self, name: str) -> str:
        return os.path.join(self.programs, name)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """`run` gives the figures of one run, the main one first. `better`: lower, higher, difference (contender minus the
    first one, in the figure's unit), or bound (the contender's own figure, whatever the first one's is)."""
    name: str
    unit: str
    better: str
    about: str
    run: Callable[[Context, Contender], dict[str, float]]
    scale: float = 1.0  # from the program's figure to the unit


def clean_env() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("VTSHIM_")}


def start(argv: list[str], env: dict[str, str], cpus: set[int] | None) -> subprocess.Popen:
    # The affinity is set in the child before exec: a taskset in between would be preloaded too.
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    return subprocess.Popen(argv, env=clean_env() | env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=pin, start_new_session=True)


def stop(process: subprocess.Popen) -> str:
    """Kills a program of ours with all that it started; returns what it wrote on stderr and not yet read."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return process.communicate()[1] or ""


def figures(text: str) -> dict[str, float]:
    words = text.split()
    return {key: float(value) for key, value in zip(words[::2], words[1::2], strict=True)}


def finish(process: subprocess.Popen, name: str, limit: float) -> dict[str, float]:
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        err = stop(process)
        raise BenchmarkFailed(f"{name} hung for {limit:.0f} s {err[-300:].strip()}") from None
    if process.returncode:
        raise BenchmarkFailed(f"{name} ended with {process.returncode}: {err[-300:].strip()}")
    try:
        found = figures(out)
    except ValueError:
        found = {}
    if not found:
        raise BenchmarkFailed(f"{name} printed no figure but {out[:100]!r}")
    return found


def limit_s(context: Context) -> float:
    return 60 + 20 * context.seconds


def simple(name: str, *arguments: str, cpus: set[int] | None = None):
    """A benchmark of one program of ours: C, or Python by its .py."""
    def run(context: Context, contender: Contender) -> dict[str, float]:
        program = [context.python, os.path.join(HERE, name)] if name.endswith(".py") else [context.program(name)]
        argv = [*program, "--seconds", str(context.seconds), *arguments]
        return finish(start(argv, contender.env, cpus), name, limit_s(context))
    return run


def memory(context: Context, contender: Contender) -> dict[str, float]:
    # Natively 10,000 threads may not be had (pids.max, pid_max): 5,000 show the same figure.
    threads = "5000" if contender.name == "native" else "10000"
    return finish(start([context.program("mem_blocked"), "--threads", threads], contender.env, None), "mem_blocked",
                  limit_s(context))


def echo(server_name: str, connections: int, pinned: bool, *arguments: str):
    def run(context: Context, contender: Contender) -> dict[str, float]:
        path = os.path.join(HERE, server_name) if server_name.endswith(".py") else context.program(server_name)
        argv = [context.python, path] if server_name.endswith(".py") else [path]
        server = start([*argv, *arguments], contender.env, SERVER_CPU if pinned else None)
        try:
            ready, _, _ = select.select([server.stdout], [], [], 30)
            line = server.stdout.readline().split() if ready else []
            if ready and not line:
                server.wait(10)
            if not line and server.poll() == 77:
                raise NotHere(f"{' '.join(arguments)} isn't installed for {context.python}")
            if len(line) != 2 or line[0] != "port":
                raise BenchmarkFailed(f"{server_name} didn't start: {stop(server)[-300:].strip()}")
            argv = [context.program("echo_load"), "--port", line[1], "--connections", str(connections), "--pid",
                    str(server.pid), "--seconds", str(context.seconds)]
            found = finish(start(argv, {}, LOAD_CPU if pinned else None), "echo_load", limit_s(context))
            if server.poll() is not None:
                raise BenchmarkFailed(f"{server_name} ended with {server.returncode} under load")
            return found
        except BenchmarkFailed as e:
            raise BenchmarkFailed(f"{e} (server: {stop(server)[-300:].strip() or 'silent'})") from None
        finally:
            if server.returncode is None:
                stop(server)
            server.stdout.close()
            server.stderr.close()
    return run


def compression(first: str):
    """zlib.compress in four threads beside 200 connections with 1,000 requests a second: the figures of both, `first` the main one."""
    connections, rate = 200, 1000

    def run(context: Context, contender: Contender) -> dict[str, float]:
        server = start([context.python, os.path.join(HERE, "py_compress.py"), "--connections", str(connections)], contender.env, None)
        load = None
        try:
            port = answer(server, 60)
            argv = [context.program("echo_load"), "--port", port["port"], "--connections", str(connections), "--rate", str(rate),
                    "--warm-up", "0.5", "--seconds", "1000"]
            load = start(argv, {}, None)
            found = answer(server, limit_s(context) * 3)
            load.terminate()
            latencies = finish(load, "echo_load", 20)
            both = {"compress_s": float(found["compress_s"]), "p99_us": latencies["p99_us"], "p50_us": latencies["p50_us"],
                    "answers": latencies["requests_per_s"]}
            return {first: both.pop(first)} | both
        finally:
            for process in (server, load):
                if process and process.returncode is None:
                    stop(process)
    return run


def answer(process: subprocess.Popen, limit: float) -> dict[str, str]:
    """The next line of `key value` pairs that a program which goes on prints."""
    ready, _, _ = select.select([process.stdout], [], [], limit)
    words = process.stdout.readline().split() if ready else []
    if not words:
        raise BenchmarkFailed(f"the server said nothing: {stop(process)[-300:].strip()}")
    return dict(zip(words[::2], words[1::2], strict=True))


def startup(kind: str):
    def run(context: Context, contender: Contender) -> dict[str, float]:
        program = [context.program("empty")] if kind == "c" else [context.python, "-S", "-c", "pass"]
        settings = [f"{key}={value}" for key, value in contender.env.items()]
        argv = [context.program("startup"), "--count", "200", "--", *settings, *program]
        return finish(start(argv, {}, None), "startup", limit_s(context))  # the spawner itself is native
    return run


US = 1e-3  # the programs print nanoseconds
BENCHMARKS = [
    Benchmark("py_lock_pingpong", "us", "lower", "Python: a turn to and fro through two Locks, two workers", simple("py_lock_pingpong.py"), US),
    Benchmark("py_queue_pingpong", "us", "lower", "Python: an item to and fro through two Queues", simple("py_queue_pingpong.py"), US),
    Benchmark("py_event_pingpong", "us", "lower", "Python: a turn to and fro through two Events", simple("py_event_pingpong.py"), US),
    Benchmark("py_lock_pingpong_main", "us", "lower", "Locks, one side is the main thread", simple("py_lock_pingpong.py", "--main"), US),
    Benchmark("py_queue_pingpong_main", "us", "lower", "Queues, one side is the main thread", simple("py_queue_pingpong.py", "--main"), US),
    Benchmark("py_event_pingpong_main", "us", "lower", "Events, one side is the main thread", simple("py_event_pingpong.py", "--main"), US),
    Benchmark("sem_pingpong_main", "us", "lower", "C: semaphores, one side is the main thread", simple("sem_pingpong", "--main", "yes"), US),
    Benchmark("py_lock_main_cost", "x", "bound", "Locks, in one run: main and worker against two workers", simple("py_lock_pingpong.py", "--compare")),
    Benchmark("py_queue_main_cost", "x", "bound", "Queues, the same", simple("py_queue_pingpong.py", "--compare")),
    Benchmark("py_event_main_cost", "x", "bound", "Events, the same", simple("py_event_pingpong.py", "--compare")),
    Benchmark("sem_main_cost", "x", "bound", "C: semaphores, the same", simple("sem_pingpong", "--compare", "yes")),
    Benchmark("py_compress_total", "s", "lower", "Python: zlib.compress of 64 MB in four threads beside 200 connections with 1,000 requests/s",
              compression("compress_s")),
    Benchmark("py_compress_p99", "us", "lower", "the same: the 99th percentile of the answers' time", compression("p99_us")),
    Benchmark("py_gil_total", "turns/s", "higher", "Python: four threads compute under the GIL, what they do together", simple("py_gil.py")),
    Benchmark("py_gil_share", "", "bound", "the same: how far from a fair share the worst of them is", simple("py_gil.py", "--share")),
    Benchmark("sem_pingpong", "us", "lower", "C: to and fro through two semaphores, two workers", simple("sem_pingpong"), US),
    Benchmark("sem_pingpong_1core", "us", "lower", "the same, all on one core", simple("sem_pingpong", cpus=SERVER_CPU), US),
    Benchmark("cond_pingpong", "us", "lower", "C: to and fro through condition variables", simple("cond_pingpong"), US),
    Benchmark("cond_pingpong_1core", "us", "lower", "the same, all on one core", simple("cond_pingpong", cpus=SERVER_CPU), US),
    Benchmark("echo_64", "req/s", "higher", "C: a thread per connection, 64 of them; server and load on a core each", echo("echo_server", 64, True)),
    Benchmark("echo_1000", "req/s", "higher", "the same with 1,000", echo("echo_server", 1000, True)),
    Benchmark("echo_64_unpinned", "req/s", "higher", "64, server and load on any core", echo("echo_server", 64, False)),
    Benchmark("echo_1000_unpinned", "req/s", "higher", "1,000, server and load on any core", echo("echo_server", 1000, False)),
    Benchmark("py_echo_64", "req/s", "higher", "Python: a thread per connection, 64 of them, any core", echo("py_echo.py", 64, False)),
    Benchmark("py_asyncio_64", "req/s", "higher", "asyncio, a server in main, 64 connections", echo("py_event_loop.py", 64, False)),
    Benchmark("py_asyncio_thread_64", "req/s", "higher", "the same in a thread beside 50 others", echo("py_event_loop.py", 64, False, "--thread")),
    Benchmark("py_uvloop_64", "req/s", "higher", "uvloop", echo("py_event_loop.py", 64, False, "--loop", "uvloop")),
    Benchmark("py_uvloop_thread_64", "req/s", "higher", "uvloop in a thread beside 50 others",
              echo("py_event_loop.py", 64, False, "--loop", "uvloop", "--thread")),
    Benchmark("py_trio_64", "req/s", "higher", "trio", echo("py_event_loop.py", 64, False, "--loop", "trio")),
    Benchmark("py_trio_thread_64", "req/s", "higher", "trio in a thread beside 50 others",
              echo("py_event_loop.py", 64, False, "--loop", "trio", "--thread")),
    Benchmark("spawn_join", "us", "lower", "C: create and join, one at a time, from main", simple("spawn_join"), US),
    Benchmark("spawn_join_batch100", "us", "lower", "C: 100 created, then joined, a thread", simple("spawn_join", "--batch", "100"), US),
    Benchmark("spawn_join_worker", "us", "lower", "C: create and join one at a time, from a worker (no target)",
              simple("spawn_join", "--from", "worker"), US),
    Benchmark("mem_blocked", "KiB", "lower", "C: memory of a thread blocked in sem_wait, kernel's included", memory, 1 / 1024),
    Benchmark("mutex_uncontended", "ns", "lower", "C: lock+unlock that nobody else wants", simple("mutex_uncontended")),
    Benchmark("mutex_contended", "ns", "lower", "C: eight threads on one mutex", simple("mutex_contended")),
    Benchmark("prodcons", "ns", "lower", "C: 8 producers and 8 consumers, an item", simple("prodcons")),
    Benchmark("rw_loop", "ns", "lower", "C, no threads: write+read on a pipe", simple("rw_loop")),
    Benchmark("startup_c", "ms", "difference", "an empty C program, from spawn to exit", startup("c")),
    Benchmark("startup_python", "ms", "difference", "python3.11 -S -c pass, from spawn to exit", startup("python")),
]


def compare(better: str, reference: float, other: float) -> float:
    if better == "difference":
        return other - reference
    if better == "bound":
        return other
    # A memory difference can come out as nothing or less on a busy machine: no ratio then, rather than a wonderful one.
    if reference <= 0 or other <= 0:
        return float("nan")
    return reference / other if better == "lower" else other / reference


def measure(benchmark: Benchmark, contenders: list[Contender], context: Context, rounds: int) -> dict:
    """Alternates the contenders; returns figures of all runs, and for each contender but the first its ratios."""
    runs: dict[str, list[dict[str, float]]] = {c.name: [] for c in contenders}
    for _ in range(rounds):
        for contender in contenders:
            try:
                runs[contender.name].append(benchmark.run(context, contender))
            except BenchmarkFailed as e:
                raise BenchmarkFailed(f"{contender.name}: {e}") from None
    main = {name: [next(iter(f.values())) * benchmark.scale for f in found] for name, found in runs.items()}
    reference = contenders[0].name
    ratios = {}
    for contender in contenders[1:]:
        pairs = [compare(benchmark.better, a, b) for a, b in zip(main[reference], main[contender.name])]
        pairs = [p for p in pairs if p == p]
        if not pairs:
            raise BenchmarkFailed(f"{contender.name}: no figure above zero to compare")
        ratios[contender.name] = {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs), "all": pairs}
    extra = {name: {key: statistics.median(f[key] for f in found) for key in list(found[0])[1:]} for name, found in runs.items()}
    return {"name": benchmark.name, "unit": benchmark.unit, "better": benchmark.better,
            "medians": {name: statistics.median(f) for name, f in main.items()}, "ratios": ratios, "runs": main, "extra": extra,
            "load_limited": {name: sum(f.get("load_limited", 0) > 0 for f in found) for name, found in runs.items()}}


def wish(target: float, better: str) -> str:
    return {"difference": f"<= +{target:g}ms", "bound": f"<= {target:g}"}.get(better, f">= {target:g}")


def verdict(result: dict, contender: str) -> str:
    target = TARGETS.get(result["name"])
    if target is None:
        return "-"
    value = result["ratios"][contender]["median"]
    return "ok" if (value <= target if result["better"] in ("difference", "bound") else value >= target) else "below"


def amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def row(*cells: str) -> str:
    widths = (22, -7, -11, -11, -8, -15, -8)
    return "  ".join(f"{c:<{w}}" if w > 0 else f"{c:>{-w}}" for c, w in zip(cells, widths)) + "  " + cells[-1]


def report(result: dict, contenders: list[Contender]) -> None:
    for contender in contenders[1:]:
        r = result["ratios"][contender.name]
        target = TARGETS.get(result["name"])
        difference = result["better"] == "difference"
        wanted = "-" if target is None else wish(target, result["better"])
        shown = [f"{r[k]:+.2f}" if difference else f"{r[k]:.2f}" for k in ("median", "min", "max")]
        print(row(result["name"], result["unit"], amount(result["medians"][contenders[0].name]),
                  amount(result["medians"][contender.name]), shown[0] + ("ms" if difference else ""),
                  f"{shown[1]} .. {shown[2]}", wanted, verdict(result, contender.name)), flush=True)
    for c in contenders:
        extra = result["extra"][c.name]
        if "compress_s" in extra or "answers" in extra:
            print(f"    {c.name}: " + ", ".join(f"{key} {value:,.1f}" for key, value in extra.items()))
        elif "p99_us" in extra:
            print(f"    {c.name}: p50 {extra['p50_us']:,.0f} us, p99 {extra['p99_us']:,.0f} us, server's CPU "
                  f"{extra['server_us_per_request']:.2f} us a request")
        if "share_0" in extra:
            shares = ", ".join(f"{value:.2f}" for key, value in extra.items() if key.startswith("share_"))
            print(f"    {c.name}: shares {shares}; {extra['turns_per_cpu_s'] / 1e6:.1f} million turns a second of CPU time")
        if "rss_bytes_per_thread" in extra:
            print(f"    {c.name}: resident {extra['rss_bytes_per_thread'] / 1024:.1f} KiB a thread, {extra['threads']:.0f} threads")
        if result["load_limited"][c.name]:
            print(f"    {c.name}: the load generator was the bottleneck in {result['load_limited'][c.name]} of "
                  f"{len(result['runs'][c.name])} runs: the server could do more")
    sys.stdout.flush()


def build_programs(directory: str) -> str:
    """The directory of the C programs: meson's, if it builds them; else they are compiled here, those out of date."""
    sources = [f for f in sorted(os.listdir(HERE)) if f.endswith(".c")]
    by_meson = os.path.join(directory, "tests", "bench")
    if all(os.access(os.path.join(by_meson, s[:-2]), os.X_OK) for s in sources):
        return by_meson
    out = os.path.join(directory, "bench")
    os.makedirs(out, exist_ok=True)
    for source in (os.path.join(HERE, s) for s in sources):
        program = os.path.join(out, os.path.basename(source)[:-2])
        newest = max(os.path.getmtime(source), os.path.getmtime(os.path.join(HERE, "bench.h")))
        if not os.path.exists(program) or os.path.getmtime(program) < newest:
            subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", source,
                            "-o", program], check=True)
    return out


def virtual_threads(context: Context, contender: Contender) -> str:
    """What the shim itself says it did in a short run; empty if it virtualised nothing."""
    argv = [context.program("sem_pingpong"), "--seconds", "0.05"]
    process = start(argv, contender.env | {"VTSHIM_LOG": "info"}, None)
    try:
        err = process.communicate(timeout=30)[1]
    except subprocess.TimeoutExpired:
        err = stop(process)
    lines = [line for line in err.splitlines() if "vthreads=" in line and "vthreads=0 " not in line]
    return lines[-1] if lines else ""


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="scripts/bench", description="Alternates native and shim runs; prints medians, ratios, spread.")
    p.add_argument("rounds_positional", nargs="?", type=int, metavar="ROUNDS", help="as --rounds")
    p.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    p.add_argument("--seconds", type=float, default=1.0, help="how long a program measures (default 1)")
    p.add_argument("--only", action="append", metavar="NAME", help="these only: a name or its beginning; repeatable")
    p.add_argument("--list", action="store_true", help="names what there is, and ends")
    p.add_argument("--check", action="store_true", help="exit 1 if a target isn't met")
    p.add_argument("--json", metavar="FILE", help="every figure of every run")
    p.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting for the shim's runs; repeatable")
    p.add_argument("--build", default=os.path.join(TOP, "build"), metavar="DIR", help="the build directory")
    p.add_argument("--lib", metavar="FILE", help="the library to preload (default: DIR/libvtshim.so)")
    p.add_argument("--python", default="/usr/bin/python3.11", help="the Python under test (a real binary, not a pyenv script)")
    args = p.parse_args()
    args.rounds = args.rounds_positional or args.rounds
    if args.rounds < 1 or args.seconds <= 0:
        p.error("rounds and seconds must be above zero")
    for setting in args.env:
        if "=" not in setting or setting.startswith("LD_PRELOAD="):
            p.error(f"--env {setting}: NAME=VALUE is wanted, and LD_PRELOAD is the runner's own")
    for name in args.only or []:
        if not any(b.name.startswith(name) for b in BENCHMARKS):
            p.error(f"no benchmark is named {name}; --list names them")
    return args


def chosen(only: list[str] | None) -> list[Benchmark]:
    """All, or those named: an exact name means that one, else it is a beginning."""
    if not only:
        return BENCHMARKS
    exact = {b.name for b in BENCHMARKS}
    return [b for b in BENCHMARKS if any(b.name == n if n in exact else b.name.startswith(n) for n in only)]


def main() -> int:
    args = parse()
    if args.list:
        for b in BENCHMARKS:
            target = TARGETS.get(b.name)
            wanted = "" if target is None else wish(target, b.better)
            print(f"{b.name:22} {wanted:10} {b.about}")
        return 0
    lib = os.path.abspath(args.lib or os.path.join(args.build, "libvtshim.so"))
    for needed in (lib, args.python):
        if not os.path.exists(needed):
            print(f"bench: {needed} isn't there", file=sys.stderr)
            return 1
    ignored = sorted(k for k in os.environ if k.startswith("VTSHIM_") or k == "LD_PRELOAD")
    if ignored:
        print(f"bench: {', '.join(ignored)} of the environment isn't passed on; use --env", file=sys.stderr)
    context = Context(build_programs(args.build), args.python, args.seconds)
    contenders = [Contender("native", {}), Contender("shim", {"LD_PRELOAD": lib} | dict(s.split("=", 1) for s in args.env))]

    load = os.getloadavg()[0]
    cpu_flags = "with" if int(platform.machine() == "x86_64" and hwcap2() & 2) else "without"
    print(f"{args.rounds} alternating rounds, {args.seconds:g} s each; {len(CPUS)} CPUs {cpu_flags} FSGSBASE, Linux {platform.release()}, "
          f"load {load:.1f}" + (f"; {' '.join(args.env)}" if args.env else ""))
    if load > 0.5 * len(CPUS):
        print("  the machine is busy with something else: trust the ratios only so far")
    if len(CPUS) < 2:
        print("  one CPU only: server and load share it")
    probe = virtual_threads(context, contenders[1])
    if not probe:
        print("  THE PRELOAD MADE NO VIRTUAL THREADS: what follows compares native with native")
    print(row("benchmark", "unit", *(c.name for c in contenders), "ratio", "min .. max", "target", "verdict"), flush=True)

    results, failures, below = [], {}, []
    for benchmark in chosen(args.only):
        try:
            result = measure(benchmark, contenders, context, args.rounds)
        except NotHere as e:
            print(f"{benchmark.name:22}  skipped: {e}", flush=True)
            continue
        except BenchmarkFailed as e:
            failures[benchmark.name] = str(e)
            print(f"{benchmark.name:22}  FAILED  {e}", flush=True)
            continue
        results.append(result)
        report(result, contenders)
        below += [benchmark.name for c in contenders[1:] if verdict(result, c.name) == "below"]
    print(f"{len(results)} measured, {len(failures)} failed, {len(below)} below target" + (": " + " ".join(below) if below else ""))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "kernel": platform.release(), "cpus": len(CPUS),
                       "fsgsbase": cpu_flags == "with", "load": load, "rounds": args.rounds, "seconds": args.seconds, "env": args.env,
                       "shim": probe, "targets": TARGETS, "results": results, "failures": failures}, f, indent=1)
            f.write("\n")
    return 1 if failures or (args.check and below) else 0


def hwcap2() -> int:
    """AT_HWCAP2 of this process, from its auxiliary vector."""
    with open("/proc/self/auxv", "rb") as f:
        data = f.read()
    words = [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8)]
    return dict(zip(words[::2], words[1::2])).get(26, 0)


if __name__ == "__main__":
    sys.exit(main())
