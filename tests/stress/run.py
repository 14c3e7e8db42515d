#!/usr/bin/env python3
"""Runs races.c, once natively and then under the shim in chaos mode with one seed after the other: the scheduler's races, many times each,
with none lost and none doubled. The seeds take turns on 4, 2, 8 and 1 carriers. A failure prints the command that runs it again.

`scripts/races` is this: 10 million checked wake-ups over 20 seeds. run_tests.py runs a short form (check_all).
"""
import argparse, os, re, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CARRIERS = (4, 2, 8, 1)
SHORT_SEEDS, SHORT_SECONDS = 4, 4
LIB = os.path.join(TOP, "build", "libvtshim.so")
PATIENCE = 60  # s in which each kind of race must advance


class Failed(Exception):
    pass


def compiled(where):
    exe = os.path.join(where, "races")
    r = subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", os.path.join(HERE, "races.c"), "-o", exe],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        raise Failed("races.c doesn't compile\n" + r.stdout)
    return exe


def settings(seed, lib):
    return {"LD_PRELOAD": lib, "VTSHIM_CHAOS": str(seed), "VTSHIM_CARRIERS": str(CARRIERS[(seed - 1) % len(CARRIERS)])} if seed else {}


def once(exe, seed, lib, bounds, limit):
    """One run: checked wake-ups by kind of race. Seed 0 is native."""
    argv = [exe, "--seed", str(seed), "--patience", str(PATIENCE), *bounds]
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("VTSHIM_")} | settings(seed, lib)
    again = f"scripts/races --seed {seed} --total {bounds[1]}" + ("" if lib == LIB else f" --lib {lib}")
    try:
        r = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"seed {seed} hung for {limit:.0f} s\n{(e.stdout or b'').decode()}\nagain: {again}") from None
    found = {kind: int(n) for kind, n in re.findall(r"([a-z-]+) (\d+) ", r.stdout)}  # not the last, "dropped"
    if r.returncode or not found:
        raise Failed(f"seed {seed}: exit {r.returncode}\n{r.stdout}\nagain: {again}")
    return found


def check_all(pattern, report):
    """The short form, as run_tests.py's results."""
    if pattern not in "stress/races":
        return
    first = int(os.environ.get("VTSHIM_TEST_SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="vtshim-races-") as where:
        try:
            exe = compiled(where)
        except Failed as e:
            return report([("FAIL", "stress/races (build)", str(e).encode())])
        for seed in (0, *range(first, first + SHORT_SEEDS)):
            name = f"stress/races.seed-{seed}" if seed else "stress/races.native"
            try:
                found = once(exe, seed, LIB, ["--total", "2000000", "--seconds", str(SHORT_SECONDS if seed else 2)], 4 * PATIENCE)
                report([("ok", f"{name} ({sum(found.values())} wake-ups)", b"")])
            except Failed as e:
                report([("FAIL", name, str(e).encode())])


def main():
    p = argparse.ArgumentParser(prog="scripts/races", description=__doc__.split("\n\n")[0])
    p.add_argument("--total", type=int, default=10_000_000, help="checked wake-ups, all seeds together (default 10,000,000)")
    p.add_argument("--seeds", type=int, default=20, help="how many seeds (default 20)")
    p.add_argument("--seed", type=int, help="this seed only")
    p.add_argument("--only", metavar="KIND", help="this kind of race only (see the counts that are printed)")
    p.add_argument("--lib", default=LIB, metavar="FILE", help="the library to preload")
    args = p.parse_args()
    seeds = [args.seed] if args.seed is not None else range(1, args.seeds + 1)
    sums, failed = {}, 0
    with tempfile.TemporaryDirectory(prefix="vtshim-races-") as where:
        exe = compiled(where)
        each = -(-args.total // len(seeds))
        for seed in seeds:
            begun = time.monotonic()
            bounds = ["--total", str(each)] + (["--only", args.only] if args.only else [])
            try:
                found = once(exe, seed, os.path.abspath(args.lib), bounds, 120 + each / 1000)
            except Failed as e:
                failed += 1
                print(f"FAIL {e}", flush=True)
                continue
            for kind, n in found.items():
                sums[kind] = sums.get(kind, 0) + n
            print(f"seed {seed} ({settings(seed, '').get('VTSHIM_CARRIERS', 'native')} carriers): {sum(found.values())} wake-ups in "
                  f"{time.monotonic() - begun:.1f} s", flush=True)
    print(" ".join(f"{kind} {n}" for kind, n in sums.items()))
    print(f"{sum(sums.values())} checked wake-ups, {len(seeds)} seeds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
