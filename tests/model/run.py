#!/usr/bin/env python3
"""Checks the protocols' models with spin: each model must hold in each of its configurations, and with each of its seeded bugs it
must not, in the way that it names. So no model passes by saying nothing. `run.py [pattern]` runs them alone; run_tests.py includes them.

A model is a tests/model/*.pml. Lines of its first comment say how it is run:
  config [NAME[=VALUE] ...]: what this is for     to hold with these macros; without such a line, with none
  bug NAME[=VALUE] ... (what is reported): text   a step is missing or wrong: the report must be "assertion", "end state" or "cycle"
A set of macros with LIVENESS in it is searched for acceptance cycles under weak fairness, any other for failed assertions and invalid end
states. VTSHIM_TEST_LIMIT bounds one search (seconds). VTSHIM_MODEL_TRAIL=1 prints the steps that lead to what was found.
"""
import concurrent.futures, glob, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = int(os.environ.get("VTSHIM_TEST_LIMIT", "120"))  # seconds
JOBS = int(os.environ.get("VTSHIM_TEST_JOBS", os.cpu_count()))
MEMORY = 2000  # MB for one search
DEPTH, BUG_DEPTH = 200000, 250  # steps of one run of the model; a bug is found sooner where runs are short
KINDS = {"assertion violated": "assertion", "invalid end state": "end state", "acceptance cycle": "cycle"}


class Failed(Exception):
    pass


def variants(source):
    """(name, macros, what must be reported or None), the configurations first."""
    with open(source) as f:
        head = f.read().split("*/")[0]
    model = "model/" + os.path.basename(source)[:-4]
    configs = re.findall(r"^ \* config([^:(]*):", head, re.M) or [""]
    found = [(".".join([model] + macros.split()), macros.split(), None) for macros in configs]
    for macros, kind in re.findall(r"^ \* bug ([^:(]*) \(([^)]*)\):", head, re.M):
        found.append((".".join([model] + macros.split()), macros.split(), kind))
    return found


def run(argv, where):
    try:
        r = subprocess.run(argv, cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed(f"{argv[0]}: not done in {LIMIT} s")
    if r.returncode:
        raise Failed(f"{argv[0]}: exit {r.returncode}\n{r.stdout}")
    return r.stdout


def search(source, macros, bug, where):
    """(what pan reports or None, states stored, its output)."""
    spin = ["spin"] + ["-D" + m for m in macros]
    run(spin + ["-a", source], where)
    liveness = "LIVENESS" in macros
    gcc = ["gcc", "-O0" if bug else "-O1", "-w", f"-DMEMLIM={MEMORY}"] + (["-DNFAIR=3"] if liveness else ["-DSAFETY"])
    run(gcc + ["-o", "pan", "pan.c"], where)
    depth, table = (BUG_DEPTH, 18) if bug and not liveness else (DEPTH, 22)  # the hash table's size is 2**table words
    text = run(["./pan", f"-m{depth}", f"-w{table}"] + (["-a", "-f"] if liveness else []), where)
    states = re.search(r"(\d+) states, stored", text)
    report = re.search(r"^pan:\d+: (" + "|".join(KINDS) + ")", text, re.M)
    cut = "Search not completed" in text or ("max search depth too small" in text and not bug)
    if not states or (cut and not report):
        raise Failed("the search isn't complete\n" + text)
    if report and os.environ.get("VTSHIM_MODEL_TRAIL"):
        trail = os.path.join(where, os.path.basename(source) + ".trail")
        text += run(spin + ["-t", "-p", "-g", "-k", trail, source], where)
    return report and KINDS[report.group(1)], int(states.group(1)), text


def check(name, source, macros, expected):
    """As run_tests.py's results: [(word, line, output)]."""
    with tempfile.TemporaryDirectory(prefix="vtshim-model-") as where:
        try:
            report, states, text = search(source, macros, expected, where)
        except Failed as e:
            return [("FAIL", f"{name} (no result)", str(e).encode())]
    if report == expected:
        what = f"{states} states" + (f", found: {report}" if report else "")
        return [("ok", f"{name} ({what})", text.encode())]
    return [("FAIL", f"{name} (found: {report or 'nothing'}, expected: {expected or 'nothing'})", text.encode())]


def check_all(pattern, report):
    todo = [(name, source, macros, kind) for source in sorted(glob.glob(os.path.join(HERE, "*.pml")))
            for name, macros, kind in variants(source) if pattern in name]
    if todo and not shutil.which("spin"):
        return report([("skip", "model (spin isn't installed; scripts/setup does that)", b"")])
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for results in pool.map(lambda t: check(*t), todo):
            report(results)


def main():
    count = {"ok": 0, "FAIL": 0, "skip": 0}

    def report(results):
        for word, line, text in results:
            count[word] += 1
            print(f"{word:5}{line}", flush=True)
            if word == "FAIL" or os.environ.get("VTSHIM_MODEL_TRAIL"):
                print(text.decode(), flush=True)

    check_all(sys.argv[1] if len(sys.argv) > 1 else "", report)
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    return 1 if count["FAIL"] or not count["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
