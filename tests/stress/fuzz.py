#!/usr/bin/env python3
"""Runs fuzz.c natively and under the shim (default, one carrier, chaos) with the same seed, and compares line by line: the same result, the same
errno, the same memory, no crash and no hang that isn't there natively, too. A difference prints the command that shows it again.
First, fuzz.def is compared with shim/interpose.def: every interposed function is called, or left out with a reason.

  tests/stress/fuzz.py [--seed N] [--calls N] [--from N] [--mode NAME]
"""
import argparse, concurrent.futures, os, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LIB = os.path.join(TOP, "build", "libvtshim.so")
CALLS = 100_000
MODES = {"shim": {}, "shim-1": {"VTSHIM_CARRIERS": "1"}, "shim-chaos": {"VTSHIM_CARRIERS": "4"}}
SHOWN = 20


def missing():
    """Names in interpose.def that fuzz.def lacks, and its own that are no rows."""
    table = set(re.findall(r"^VT_ROW\((\w+)", open(os.path.join(TOP, "shim/interpose.def")).read(), re.M))
    known = set(re.findall(r"^(?:FUZZ|LEFT)\((\w+)", open(os.path.join(HERE, "fuzz.def")).read(), re.M))
    return sorted(table - known), sorted(known - table)


def compiled(where):
    exe = os.path.join(where, "fuzz")
    r = subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", os.path.join(HERE, "fuzz.c"), "-o", exe],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return exe, r.stdout if r.returncode else ""


def lines(exe, mode, seed, first, last):
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("VTSHIM_")}
    if mode != "native": env |= MODES[mode] | {"LD_PRELOAD": LIB} | ({"VTSHIM_CHAOS": str(seed)} if mode == "shim-chaos" else {})
    r = subprocess.run([exe, "--seed", str(seed), "--from", str(first), "--calls", str(last)], env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1200)
    if r.returncode: raise RuntimeError(f"{mode}: exit {r.returncode}\n{r.stderr}")
    return r.stdout.splitlines()


def compare(exe, seed, first, modes):
    """For each mode, of which the last call is given, (name, differences as text)."""
    # Side by side: most of the time they wait for times that run out.
    with concurrent.futures.ThreadPoolExecutor(len(modes) + 1) as pool:
        runs = {m: pool.submit(lines, exe, m, seed, first, last) for m, last in {"native": max(modes.values()), **modes}.items()}
    for mode, last in modes.items():
        try:
            native, got = runs["native"].result()[:last - first], runs[mode].result()
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            yield mode, str(e)
            continue
        different = [(a, b) for a, b in zip(native, got, strict=True) if a != b]
        text = "".join(f"natively {a}\n{mode:8} {b}\n" for a, b in different[:SHOWN])
        if different: text += f"{len(different)} of {len(native)} differ; again: tests/stress/fuzz.py --seed {seed} --calls {last} --mode {mode}\n"
        yield mode, text


def check_all(pattern, report):
    """As run_tests.py's results: 100,000 calls natively and in the default mode, the first 25,000 of them in the others."""
    if pattern not in "stress/fuzz":
        return
    absent, unknown = missing()
    report([("FAIL", "stress/fuzz (table)", f"not in fuzz.def: {absent}, not in interpose.def: {unknown}".encode()) if absent or unknown
            else ("ok", "stress/fuzz (table)", b"")])
    seed = int(os.environ.get("VTSHIM_TEST_SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="vtshim-fuzz-") as where:
        exe, error = compiled(where)
        if error: return report([("FAIL", "stress/fuzz (build)", error.encode())])
        modes = {"shim": CALLS, "shim-1": CALLS // 4, "shim-chaos": CALLS // 4}
        for mode, text in compare(exe, seed, 0, modes):
            report([("FAIL" if text else "ok", f"stress/fuzz.{mode} ({modes[mode]} calls, seed {seed})", text.encode())])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--calls", type=int, default=CALLS, help=f"up to this one (default {CALLS})")
    p.add_argument("--from", type=int, default=0, dest="first", help="from this one on")
    p.add_argument("--mode", choices=MODES, help="this mode only")
    a = p.parse_args()
    bad = False
    with tempfile.TemporaryDirectory(prefix="vtshim-fuzz-") as where:
        exe, error = compiled(where)
        if error: sys.exit(error)
        for mode, text in compare(exe, a.seed, a.first, dict.fromkeys([a.mode] if a.mode else MODES, a.calls)):
            print(text or f"{mode}: {a.calls - a.first} calls, all as natively", flush=True)
            bad |= bool(text)
    return bad


if __name__ == "__main__":
    sys.exit(main())
