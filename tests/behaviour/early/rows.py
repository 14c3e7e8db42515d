"""Each row of shim/interpose.def is called before the shim's own constructor: from a library's constructor, from one that ld.so runs first of all
(DF_1_INITFIRST), from a DT_PREINIT_ARRAY function and from an IFUNC resolver of the program's; result, errno and end as natively. calls.def has the calls."""
import os, re, subprocess, sys, tempfile
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
LIB = os.path.join(TOP, "build", "libvtshim.so")
SETTINGS = {k: v for k, v in os.environ.items() if k.startswith("VTSHIM_") and not k.startswith("VTSHIM_TEST_")}
PLAIN = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and k not in SETTINGS}
SHIMMED = {**PLAIN, **SETTINGS, "LD_PRELOAD": LIB}
FLAGS = ["-x", "c++", "-std=c++20", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-stack-protector", "-g", "-O1", "-Wno-nonnull", "-w", "-I", TOP, "-I", HERE]
LIBRARY = '#include "calls.h"\n__attribute__((constructor)) static void first() { run_rows("%s"); }\n'
PREINIT = ('#include "calls.h"\nstatic void first() { run_rows("preinit"); }\n'
           '__attribute__((section(".preinit_array"), used)) static void (*pointer)() = first;\nint main() { return 0; }\n')
IFUNC = ('#include "calls.h"\nextern "C" {\nstatic int chosen() { return 0; }\nint (*resolve())() { run_rows("ifunc"); return chosen; }\n'
         'int pick() __attribute__((ifunc("resolve")));\n}\nint main() { return pick(); }\n')
MAIN = "int main() { return 0; }\n"


def compile(folder, name, text, *flags):
    out = os.path.join(folder, name)
    subprocess.run(["gcc", *FLAGS, "-", "-o", out, *flags], input=text, text=True, check=True, env=PLAIN)
    return out


def build(folder):
    library = ["-fPIC", "-shared"]
    compile(folder, "libfirst.so", LIBRARY % "constructor", *library)
    compile(folder, "libinit.so", LIBRARY % "initfirst", *library, "-Wl,-z,initfirst")
    linked = ["-L" + folder, "-Wl,-rpath," + folder, "-Wl,--no-as-needed"]
    return {"constructor": compile(folder, "first", MAIN, *linked, "-lfirst"), "initfirst": compile(folder, "init", MAIN, *linked, "-linit"),
            "preinit": compile(folder, "preinit", PREINIT), "ifunc": compile(folder, "ifunc", IFUNC)}


def lines(program, env):
    """row: what came of it. Our own lines on stderr are no part of it."""
    r = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found = dict(line.split(": ", 1) for line in r.stdout.splitlines() if re.match(r"(constructor|initfirst|preinit|ifunc) \w+: ", line))
    return found, r


names = set(re.findall(r"^VT_ROW\((\w+),", open(os.path.join(TOP, "shim/interpose.def")).read(), re.M))
called = set(re.findall(r"^[IEPVS]\((\w+)[,)]", open(os.path.join(HERE, "calls.def")).read(), re.M))
bad = [f"{n}: a row without a call" for n in sorted(names - called)] + [f"{n}: called, but no row" for n in sorted(called - names)]
compared, impossible = 0, []
with tempfile.TemporaryDirectory() as folder:
    for where, program in build(folder).items():
        native, end = lines(program, PLAIN)
        if end.returncode or len(native) != len(called):
            bad.append(f"{where}: natively {len(native)} of {len(called)} rows, status {end.returncode}: {end.stderr[-300:]}")
        if os.environ.get("LD_PRELOAD"):
            ways = {"": SHIMMED, "VTSHIM_THREADS=none ": {**SHIMMED, "VTSHIM_THREADS": "none"}}
        else:
            ways = {"again ": PLAIN}  # what a row tells must be the same each time
        impossible += [f"{row} ({text})" for row, text in native.items() if text.startswith("signal")]
        for way, env in ways.items():
            ours, end = lines(program, env)
            if end.returncode: bad.append(f"{way}{where}: status {end.returncode}: {end.stderr[-300:]}")
            for row, text in native.items():
                if text.startswith("signal"): continue
                if ours.get(row) != text: bad.append(f"{way}{row}: {ours.get(row)}; natively: {text}")
                compared += 1
print("\n".join(bad) or f"{compared} calls compared; natively impossible: {', '.join(impossible) or 'none'}")
sys.exit(1 if bad or not compared else 0)
