#!/usr/bin/env python3
"""Every behaviour test, four ways: native, under the shim, with one carrier, in chaos mode. Native must pass first.

A test is a plain program in tests/behaviour/<family>/: exit 0 passes, 77 skips, anything else fails, as does a hang.
"""
import glob, os, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIB = os.path.join(TOP, "build", "libvtshim.so")
SEED = os.environ.get("VTSHIM_TEST_SEED", "1")
MODES = {
    "native": {},
    "shim": {"LD_PRELOAD": LIB},
    "shim-1": {"LD_PRELOAD": LIB, "VTSHIM_CARRIERS": "1"},
    "shim-chaos": {"LD_PRELOAD": LIB, "VTSHIM_CARRIERS": "4", "VTSHIM_CHAOS": SEED},
}
LIMIT = int(os.environ.get("VTSHIM_TEST_LIMIT", "60"))  # seconds


def command(source, out):
    if source.endswith(".py"):
        return ["/usr/bin/python3", source]
    for lib in glob.glob(os.path.join(os.path.dirname(source), "lib", "*.c")):  # shared libraries, found beside the program
        so = os.path.join(out, "lib" + os.path.basename(lib)[:-2] + ".so")
        if not os.path.exists(so):
            subprocess.run(["gcc", "-g", "-O1", "-fPIC", "-shared", lib, "-o", so], check=True)
    exe = os.path.join(out, source.replace("/", "_"))
    compiler = ["g++", "-std=c++20"] if source.endswith(".cpp") else ["gcc", "-std=gnu17"]
    subprocess.run(compiler + ["-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", source, "-o", exe], check=True)
    return [exe]


def main():
    passed = failed = skipped = 0
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    out = tempfile.mkdtemp(prefix="vtshim-tests-")
    for source in sorted(glob.glob(os.path.join(TOP, "tests/behaviour/*/*"))):
        name = os.path.relpath(source, os.path.join(TOP, "tests/behaviour"))
        if not source.endswith((".c", ".cpp", ".py")) or pattern not in name:
            continue
        try:
            argv = command(source, out)
        except subprocess.CalledProcessError:
            print(f"FAIL {name} doesn't compile", flush=True)
            failed += 1
            continue
        for mode, extra in MODES.items():
            try:
                r = subprocess.run(argv, env={**os.environ, **extra}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, timeout=LIMIT)
                code, text = r.returncode, r.stdout
            except subprocess.TimeoutExpired as e:
                code, text = "hang", e.stdout or b""
            word = {0: "ok", 77: "skip"}.get(code, "FAIL")
            print(f"{word:5}{name}.{mode}" + ("" if word != "FAIL" else f" (exit {code}, seed {SEED})"), flush=True)
            if word == "FAIL":
                print(text.decode(errors="replace")[-2000:], flush=True)
            passed += word == "ok"
            skipped += word == "skip"
            failed += word == "FAIL"
            if mode == "native" and word != "ok":
                break
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main())
