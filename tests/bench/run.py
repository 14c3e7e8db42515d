#!/usr/bin/python3.11
"""Runs the benchmarks: the contenders (native, one or several variants of the shim, peers) alternate (A B C A B C ...) in one run, so that a
slow minute hits all of them alike.

A figure of one run alone says little on a noisy machine. What is compared is the ratio of *adjacent* runs: printed is the
median of these ratios, with their range. A ratio is a speed: above 1, the shim is faster (or smaller) than the other.
The preload goes to the program under test only, never to a load generator or to this runner.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time

import chart
import measure
import peers
import cpu_profile
import report
import suite
import targets
from harness import CPUS, HERE, TOP, Benchmark, Contender, Context, NotHere, start, stop

RESULTS = os.path.join(HERE, "results")  # .svg, .md


def virtual_threads(context: Context, contender: Contender) -> str:
    """What the shim itself says it did in a short run; empty if it virtualised nothing."""
    process = start(context.argv("sem_pingpong", "--seconds", "0.05"), contender.env | {"VTSHIM_LOG": "info"}, None)
    try:
        err = process.communicate(timeout=30)[1]
    except subprocess.TimeoutExpired:
        err = stop(process)
    lines = [line for line in err.splitlines() if "vthreads=" in line and "vthreads=0 " not in line]
    return lines[-1] if lines else ""


def variant(text: str, lib: str, settings: dict[str, str]) -> Contender:
    """NAME:SETTING=VALUE,... A setting `lib` names another library to preload."""
    name, _, rest = text.partition(":")
    own = dict(s.split("=", 1) for s in rest.split(",") if s)
    return Contender(name, {"LD_PRELOAD": os.path.abspath(own.pop("lib", lib))} | settings | own, "shim")


def default_variants(plot: bool, fsgsbase: bool) -> list[str]:
    """Of a chart: each back end that this host has."""
    return [f"{name}:VTSHIM_TLS={name}" for name in (["fsgsbase"] if fsgsbase else []) + ["arch_prctl", "swap"]] if plot else ["shim"]


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="scripts/bench", description="Alternates native, shim and peers; prints medians, ratios, spread.")
    p.add_argument("rounds_positional", nargs="?", type=int, metavar="ROUNDS", help="as --rounds")
    p.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    p.add_argument("--seconds", type=float, default=1.0, help="how long a program measures (default 1)")
    p.add_argument("--only", action="append", metavar="NAME", help="these only: a name or its beginning; repeatable")
    p.add_argument("--list", action="store_true", help="names what there is, and ends")
    p.add_argument("--calls", metavar="all=NS,arch_prctl=NS", help="everything as on a host where an empty system call costs so much, and which lacks "
                   "FSGSBASE; DESIGN's machine: all=1000,arch_prctl=3400 (dear_calls.c)")
    p.add_argument("--profile", action="store_true", help="of servers: what the CPU time of a request goes to (perf), instead of ratios")
    p.add_argument("--check", action="store_true", help="exit 1 if a target isn't met")
    p.add_argument("--json", metavar="FILE", help="every figure of every run")
    p.add_argument("--plot", action="store_true", help=f"a chart and a table: {os.path.relpath(RESULTS, TOP)}.svg and .md; the figures are kept in DIR/bench-results.json")
    p.add_argument("--from", dest="files", action="append", metavar="FILE", help="nothing is run: the figures are those of --json's FILE; repeatable, a later one comes first")
    p.add_argument("--out", default=RESULTS, metavar="PATH", help="--plot's files, without their endings")
    p.add_argument("--variant", action="append", default=[], metavar="NAME:SETTING=VALUE,...",
                   help="a shim with these settings, `lib` the library; repeatable: all alternate in one run (default: one, `shim`; of --plot: the back ends)")
    p.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting for each variant; repeatable")
    p.add_argument("--peers", default=",".join(peers.PEERS), metavar="NAME,...", help=f"these only, of {', '.join(peers.PEERS)}")
    p.add_argument("--no-peers", action="store_true", help="native and shim only")
    p.add_argument("--peers-setup", action="store_true", help="installs the peers' packages by apt, and ends")
    p.add_argument("--build", default=os.path.join(TOP, "build"), metavar="DIR", help="the build directory")
    p.add_argument("--lib", metavar="FILE", help="the library to preload (default: DIR/libvtshim.so)")
    p.add_argument("--python", default="/usr/bin/python3.11", help="the Python under test (a real binary, not a pyenv script)")
    args = p.parse_args()
    args.rounds = args.rounds_positional or args.rounds
    args.lib = os.path.abspath(args.lib or os.path.join(args.build, "libvtshim.so"))
    if args.rounds < 1 or args.seconds <= 0:
        p.error("rounds and seconds must be above zero")
    for setting in [*args.env, *(s for v in args.variant for s in v.partition(":")[2].split(",") if s)]:
        if "=" not in setting or setting.startswith("LD_PRELOAD="):
            p.error(f"{setting}: NAME=VALUE is wanted, and LD_PRELOAD is the runner's own")
    names = [v.partition(":")[0] for v in args.variant] + ["native", *peers.PEERS]
    if len(set(names)) < len(names) or "" in names:
        p.error("each variant needs a name of its own, which no peer has")
    for name in args.only or []:
        if not any(b.name.startswith(name) for b in suite.BENCHMARKS):
            p.error(f"no benchmark is named {name}; --list names them")
    args.peers = [] if args.no_peers else args.peers.split(",")
    for name in args.peers:
        if name not in peers.PEERS:
            p.error(f"no peer is named {name}; there are {', '.join(peers.PEERS)}")
    return args


def chosen(only: list[str] | None) -> list[Benchmark]:
    """All, or those named: an exact name means that one, else it is a beginning."""
    if not only:
        return suite.BENCHMARKS
    exact = {b.name for b in suite.BENCHMARKS}
    return [b for b in suite.BENCHMARKS if any(b.name == n if n in exact else b.name.startswith(n) for n in only)]


def show_list() -> None:
    for b in suite.BENCHMARKS:
        print(f"{b.name:24} {b.about}" + (f"; peers: {', '.join(b.peers)}" if b.peers else ""))
        for t in targets.of(b.name):
            wishes = [f"{column} {targets.wish(t.against, bound, b.unit)}" for column, bound in (("arch_prctl", t.arch_prctl), ("swap", t.swap)) if bound is not None]
            print(f"{'':24}   target against {t.against if t.against not in ('', '-') else 'native' if t.against else 'nobody'}: {', '.join(wishes)}")


def hwcap2() -> int:
    """AT_HWCAP2 of this process, from its auxiliary vector."""
    with open("/proc/self/auxv", "rb") as f:
        data = f.read()
    words = [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8)]
    return dict(zip(words[::2], words[1::2])).get(26, 0)


def cpu_model() -> str:
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())


def show_profiles(benchmarks: list[Benchmark], contenders: list[Contender], context: Context) -> None:
    for benchmark in benchmarks:
        try:
            print(cpu_profile.profile(benchmark, contenders, context), flush=True)
        except NotHere as e:
            print(f"{benchmark.name} skipped: {e}", flush=True)


def run_all(args: argparse.Namespace) -> dict:
    """Measures what was chosen, prints it, and returns all of it."""
    fsgsbase = platform.machine() == "x86_64" and bool(hwcap2() & 2) and not args.calls
    load = os.getloadavg()[0]
    print(f"{args.rounds} alternating rounds, {args.seconds:g} s each; {len(CPUS)} CPUs with{'' if fsgsbase else 'out'} FSGSBASE, "
          f"Linux {platform.release()}, load {load:.1f}" + (f"; {' '.join(args.env)}" if args.env else "") + (f"; calls made as dear as {args.calls} ns" if args.calls else ""))
    if load > 0.5 * len(CPUS):
        print("  the machine is busy with something else: trust the ratios only so far")
    if len(CPUS) < 2:
        print("  one CPU only: server and load share it")
    benchmarks = chosen(args.only)
    wanted = [p for p in args.peers if any(p in b.peers for b in benchmarks)]
    argvs = peers.available(wanted, os.path.join(args.build, "bench-peers"), args.python)
    context = Context(os.path.join(args.build, "tests", "bench"), args.python, args.seconds, argvs)
    variants = [variant(v, args.lib, dict(s.split("=", 1) for s in args.env) | ({"VTSHIM_FSGSBASE": "no"} if args.calls else {})) for v in args.variant or default_variants(args.plot, fsgsbase)]
    contenders = [Contender("native"), *variants, *(Contender(name, {}, "peer") for name in argvs)]
    probes = {v.name: virtual_threads(context, v) for v in variants}
    for name in (name for name, line in probes.items() if not line):
        print(f"  {name}: THE PRELOAD MADE NO VIRTUAL THREADS: what follows compares native with native")
    if args.profile:
        show_profiles(benchmarks, contenders, context)
        sys.exit(0)
    print(report.row(*report.HEADINGS), flush=True)

    about = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "kernel": platform.release(), "cpu": cpu_model(), "cpus": len(CPUS), "fsgsbase": fsgsbase,
             "load": load, "calls": args.calls, "rounds": args.rounds, "seconds": args.seconds, "contenders": [vars(c) for c in contenders], "shim": probes}
    found = {"about": about, "results": [], "failures": {}}
    for benchmark in benchmarks:
        try:
            result = measure.measure(benchmark, contenders, context, args.rounds, lambda line: print(line, flush=True))
        except NotHere as e:
            print(f"{benchmark.name} skipped: {e}", flush=True)
            continue
        found["failures"] |= {f"{benchmark.name} {name}": why for name, why in result["failures"].items()}
        found["results"].append(result)
        print(*report.lines(result, about["contenders"]), sep="\n", flush=True)
        if args.json:  # after each, so that what a killed run measured isn't lost
            write(args.json, found)
    return found


def write(path: str, found: dict) -> None:
    with open(path + ".part", "w") as f:
        json.dump(found, f, indent=1)
        f.write("\n")
    os.replace(path + ".part", path)


def as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]


def read(files: list[str]) -> dict:
    """The figures of earlier runs; of a benchmark that is in several the last one's."""
    found: dict = {"about": {}, "results": [], "failures": {}}
    for path in files:
        with open(path) as f:
            one = json.load(f)
        names = {r["name"] for r in one["results"]}
        found["results"] = [r for r in found["results"] if r["name"] not in names] + one["results"]
        known = {c["name"] for c in one["about"]["contenders"]}
        for key in ("rounds", "seconds"):  # from the fewest to the most
            one["about"][key] = sorted({*as_list(one["about"][key]), *as_list(found["about"].get(key, []))})
        one["about"]["contenders"] += [c for c in found["about"].get("contenders", []) if c["name"] not in known]
        found = {"about": one["about"], "results": found["results"], "failures": found["failures"] | one["failures"]}
    order = [b.name for b in suite.BENCHMARKS]
    found["results"].sort(key=lambda r: order.index(r["name"]) if r["name"] in order else len(order))
    return found


def with_dear_calls(args: argparse.Namespace) -> None:
    """Starts again under dear_calls, where it stands in the environment that it has done so."""
    if os.environ.pop("BENCH_CALLS", None) != args.calls:
        os.environ["BENCH_CALLS"] = args.calls
        program = os.path.join(args.build, "tests", "bench", "dear_calls")
        os.execv(program, [program, *args.calls.split(","), "--", sys.executable, *sys.argv])


def main() -> int:
    args = parse()
    if args.calls:
        with_dear_calls(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that started servers are ended
    if args.list:
        show_list()
        return 0
    if args.peers_setup:
        return peers.setup()
    if args.plot and not args.json and not args.files:
        args.json = os.path.join(args.build, "bench-results.json")
    if args.files:
        found = read(args.files)
        print(report.row(*report.HEADINGS))
        for result in found["results"]:
            print(*report.lines(result, found["about"]["contenders"]), sep="\n")
    else:
        for needed in (args.lib, args.python, os.path.join(args.build, "tests", "bench", "echo_load")):
            if not os.path.exists(needed):
                print(f"bench: {needed} isn't there (scripts/build)", file=sys.stderr)
                return 1
        ignored = sorted(k for k in os.environ if k.startswith("VTSHIM_") or k == "LD_PRELOAD")
        if ignored:
            print(f"bench: {', '.join(ignored)} of the environment isn't passed on; use --env", file=sys.stderr)
        found = run_all(args)

    below = [f"{r['name']} ({c['variant']} against {c['against'] or 'the bound'})" for r in found["results"]
             for c in measure.comparisons(r, found["about"]["contenders"]) if c["met"] is False]
    print(f"{len(found['results'])} measured, {len(found['failures'])} failed, {len(below)} targets not met" + (": " if below else ""))
    print(*(f"  {line}" for line in below), sep="\n", end="\n" if below else "")
    if args.plot:
        chart.write(args.out, found)
    return 1 if found["failures"] or (args.check and below) else 0


if __name__ == "__main__":
    sys.exit(main())
