"""shim/interpose.def against the library and libc: every row is exported by libvtshim.so, exists in libc under the version that the row
names, and no name of libc is exported that the table lacks; the vtshim_ names are those that README gives."""
import os, re, subprocess, sys
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}


def symbols(path):
    out = subprocess.run(["nm", "-D", "--with-symbol-versions", "--defined-only", path], stdout=subprocess.PIPE, text=True, check=True, env=env).stdout
    return {line.split()[-1] for line in out.splitlines() if len(line.split()) == 3 and line.split()[1] != "t"}


rows = dict(re.findall(r'^VT_ROW\((\w+), "([\w.]+)"', open(os.path.join(TOP, "shim/interpose.def")).read(), re.M))
ours = {s.split("@")[0] for s in symbols(os.path.join(TOP, "build/libvtshim.so"))}
libc = symbols("/lib/x86_64-linux-gnu/libc.so.6")
bad = [f"{n}: in the table, not exported" for n in rows if n not in ours]
bad += [f"{n}@@{v}: not so in libc" for n, v in rows.items() if f"{n}@@{v}" not in libc and f"{n}@{v}" not in libc]
own = {"vtshim_active", "vtshim_is_virtual", "vtshim_dump", "vtshim_pin", "vtshim_unpin", "vtshim_set_callback_hook"}
bad += [f"{n}: exported or expected, not both" for n in own ^ {n for n in ours if n.startswith("vtshim_")}]
bad += [f"{n}: exported, not in the table" for n in ours - rows.keys() - own]
print("\n".join(bad) or f"{len(rows)} rows")
sys.exit(1 if bad or not rows else 0)
