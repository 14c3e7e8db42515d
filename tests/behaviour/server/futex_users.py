"""2,000 threads wait in Rust's std and in libstdc++, which wait by syscall(SYS_futex): natively each is an OS thread, under the shim all of
them are parked. Prints how many OS threads there were. Rust is left out where there is no rustc."""
import os, shutil, subprocess, sys, tempfile, time

shim = bool(os.environ.pop("LD_PRELOAD", None))
here = os.path.dirname(os.path.abspath(__file__))
preload = {"LD_PRELOAD": os.path.join(here, "../../../build/libvtshim.so")} if shim else {}
FEW = max(os.cpu_count(), int(os.environ.get("VTSHIM_CARRIERS", "1"))) + 6
EACH = 400
folder = tempfile.mkdtemp()
rustc = shutil.which("rustc") or shutil.which(os.path.expanduser("~/.cargo/bin/rustc"))
errors, ran = [], 0


def check(name, compiler):
    exe = os.path.join(folder, name)
    source = [f for f in os.listdir(os.path.join(here, "lib")) if f.startswith(name + ".")][0]
    subprocess.run(compiler + [os.path.join(here, "lib", source), "-o", exe], check=True)
    p = subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **preload})
    assert p.stdout.readline() == "waiting\n"
    time.sleep(0.3)  # the last of them are on their way; more than few, if they were OS threads, they are already
    seen = len(os.listdir(f"/proc/{p.pid}/task"))
    out, _ = p.communicate("go\n", timeout=100)
    print(f"{name}: {seen} OS threads while {5 * EACH} wait")
    if (seen > FEW) if shim else (seen <= 5 * EACH): errors.append(f"{name}: {seen} OS threads")
    if p.returncode or int(out) != 5 * sum(range(EACH)): errors.append(f"{name}: exit {p.returncode}, {out}")


check("futex_cxx", ["g++", "-std=c++20", "-O1", "-pthread"])
if rustc: check("futex_rust", [rustc, "-O", "--edition", "2021"])
shutil.rmtree(folder)
for e in errors: print(e)
sys.exit(bool(errors))
