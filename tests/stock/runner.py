"""Runs modules of CPython's test suite natively and under the shim, and keeps what happened. Used by scripts/stock_tests.

Kept in build/stock-cache: MODULE.json, the native result; KEY/MODULE.json, the result under one build of libvtshim.so with one
set of VTSHIM_ variables (KEY is their digest), and what native runs again said of the tests that differed. Each build is
copied there first, so that a rebuild during a run changes nothing. Logs are in build/stock-logs, in the same way.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

kStock = os.path.dirname(os.path.abspath(__file__))
kPython = "/usr/bin/python3.11"
kTests = "/usr/lib/python3.11/test"
kProcess = "[process]"  # the pseudo test that stands for the end of the module's process
kNativeLimit = 900  # seconds for one module


def read_lines(name, columns):
    """Yields the fields, separated by "|", of each line of tests/stock/NAME."""
    with open(os.path.join(kStock, name)) as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != columns or not all(fields):
                raise SystemExit(f"stock_tests: {name}:{number}: expected {columns} fields, separated by '|'")
            yield fields


def read_modules():
    """Reads tests/stock/modules.txt: a module a line, then "ci" when it belongs to the CI subset, and the names of regrtest's
    resources that it may use. Returns {module: words after it}."""
    with open(os.path.join(kStock, "modules.txt")) as f:
        lines = [line.split("#")[0].split() for line in f]
    return {words[0]: words[1:] for words in lines if words}


def installed_modules():
    """Every test module of the package, as regrtest itself looks for them."""
    stems = (os.path.splitext(name) for name in os.listdir(kTests))
    return sorted(stem for stem, ext in stems if stem.startswith("test_") and ext in ("", ".py"))


def read_events(path):
    """Reads what run_module.py wrote. Returns ({test id: outcome}, the module's own outcome or None when it didn't end)."""
    outcomes, running, ended = {}, None, None
    if os.path.exists(path):
        with open(path) as f:
            for line in f:
                event = json.loads(line)
                if "start" in event:
                    running = event["start"]
                elif "end" in event:
                    # A test that runs several times (another class with the same name) counts with its worst outcome.
                    old = outcomes.get(event["end"], "ok")
                    outcomes[event["end"]] = event["outcome"] if old in ("ok", "skipped") else old
                    running = None
                else:
                    ended = event["module"]
    if running:
        outcomes[running] = "did not end"
    return outcomes, ended


def process_outcome(outcomes, ended, code, timed_out):
    """The word for how the module's process ended, besides what its tests say."""
    if timed_out:
        return f"hung after {timed_out} s"
    if ended is None:
        return f"died: signal {-code}" if code < 0 else f"died: exit {code}"
    if code < 0:
        return f"died at exit: signal {-code}"
    if ended == "bad" and any(word in ("FAIL", "ERROR", "xpass") for word in outcomes.values()):
        return "ok"
    if ended == "skipped" and outcomes:
        return "ok"
    return "ok" if ended == "good" else ended


class Runner:
    def __init__(self, lib, build, limit):
        settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("VTSHIM_"))
        with open(lib, "rb") as f:
            self.key = hashlib.sha256(f.read() + "\n".join(settings).encode()).hexdigest()[:12]
        self.logs = os.path.join(build, "stock-logs")
        self.cache = os.path.join(build, "stock-cache")
        for folder in (self.logs, self.cache):
            os.makedirs(os.path.join(folder, self.key), exist_ok=True)
        self.lib = os.path.join(self.cache, self.key, "libvtshim.so")
        if not os.path.exists(self.lib):
            shutil.copyfile(lib, self.lib + ".new")
            os.rename(self.lib + ".new", self.lib)
        self.limit = limit
        self.ignored = [test for test, _ in read_lines("native_hangs.txt", 2)]
        self.modules = read_modules()
        self.children, self.stopped = set(), False
        self.version = subprocess.run([kPython, "-VV"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def dump(self, pid, log):
        """Appends the stacks of a process that hangs to its log."""
        log.write(f"\nstock_tests: time limit; stacks of {pid}:\n".encode())
        log.flush()
        if shutil.which("gdb"):
            try:
                subprocess.run(["gdb", "-batch", "-nx", "-p", str(pid), "-ex", "thread apply all bt 12"], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=subprocess.STDOUT, timeout=60)
            except subprocess.TimeoutExpired:
                log.write(b"stock_tests: gdb took too long\n")
                log.flush()
        os.kill(pid, signal.SIGABRT)  # faulthandler prints the Python stacks
        time.sleep(2)

    def run(self, module, mode, limit, match=None):
        """Runs a module (or one test of it). Returns {"outcomes": {test id: word}, "seconds": S, "log": path}."""
        stem = os.path.join(self.logs, self.key if mode == "shim" else "", module + (".again" if match else ""))
        events = stem + ".events"
        if os.path.exists(events):
            os.unlink(events)
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("PYTHON")}
        if mode == "shim":
            env["LD_PRELOAD"] = self.lib
        argv = [kPython, os.path.join(kStock, "run_module.py"), events, module]
        for resource in set(self.modules.get(module, ())) - {"ci"}:
            argv += ["--use", resource]
        argv += ["--match", match] if match else []
        for test in self.ignored:
            argv += ["--ignore", test] if test.startswith(f"test.{module}.") else []
        start, timed_out = time.monotonic(), 0
        with open(stem + ".log", "wb") as log:
            child = subprocess.Popen(argv, env=env, cwd="/tmp", stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                     start_new_session=True)
            self.children.add(child.pid)
            try:
                child.wait(limit)
            except subprocess.TimeoutExpired:
                timed_out = limit
                self.dump(child.pid, log)
            finally:
                self.end(child.pid)  # the children that the tests left behind, too
                child.wait()
                self.children.discard(child.pid)
        if self.stopped:
            raise KeyboardInterrupt  # not a result to keep
        outcomes, ended = read_events(events)
        outcomes[kProcess] = process_outcome(outcomes, ended, child.returncode, timed_out)
        return {"outcomes": outcomes, "seconds": round(time.monotonic() - start, 1), "log": stem + ".log"}

    def end(self, leader):
        try:
            os.killpg(leader, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self):
        """Ends what runs, from another thread than the one that runs it."""
        self.stopped = True
        for leader in list(self.children):
            self.end(leader)

    def kept_path(self, module, mode):
        return os.path.join(self.cache, self.key if mode == "shim" else "", module + ".json")

    def kept(self, module, mode):
        """The kept result of a module, or None."""
        try:
            with open(self.kept_path(module, mode)) as f:
                kept = json.load(f)
        except FileNotFoundError:
            return None
        return kept["result"] if kept["version"] == self.version else None

    def keep(self, module, mode, result):
        path = self.kept_path(module, mode)
        with open(path + ".new", "w") as f:
            json.dump({"version": self.version, "result": result}, f)
        os.rename(path + ".new", path)

    def native(self, module, again):
        result = None if again else self.kept(module, "native")
        if result is None:
            result = self.run(module, "native", kNativeLimit)
            self.keep(module, "native", result)
        return result

    def shim(self, module, native, again):
        result = None if again else self.kept(module, "shim")
        if result is None:
            result = self.run(module, "shim", self.limit or int(60 + 3 * native["seconds"]))
            self.keep(module, "shim", result)
        return result

    def native_again(self, module, shim, test, times):
        """What the test (or the whole process) does in some more native runs; kept with the result under the shim."""
        reruns = shim.setdefault("native again", {})
        if test not in reruns:
            match = None if test == kProcess or not test.startswith("test.") else test
            runs = [self.run(module, "native", kNativeLimit, match)["outcomes"] for _ in range(times)]
            reruns[test] = [run.get(test, "absent") for run in runs]
            self.keep(module, "shim", shim)
        return reruns[test]
