"""vtrun: arguments verbatim, exit status handed on, 126 and 127 as a shell's, --version, --help, --, LD_PRELOAD kept, no parent left,
one line about static programs."""
import os, subprocess, sys, tempfile
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
VTRUN = os.path.join(TOP, "build", "vtrun")
env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}


def run(*args, **more):
    return subprocess.run([VTRUN, *args], env={**env, **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


r = run("sh", "-c", 'printf "%s|" "$@"', "-", "a b", "", "--", "-x", "*")
assert (r.returncode, r.stdout, r.stderr) == (0, "a b||--|-x|*|", ""), r
assert run("sh", "-c", "exit 41").returncode == 41
assert run("--", "sh", "-c", "exit 3").returncode == 3
r = run("--version")
assert r.returncode == 0 and r.stdout.startswith("vtrun ") and r.stdout.count("\n") == 1, r
r = run("--help")
assert r.returncode == 0 and "vtrun" in r.stdout and "VTSHIM_" in r.stdout, r
r = run("no-such-program-at-all")
assert r.returncode == 127 and r.stderr.count("\n") == 1, r
r = run()
assert r.returncode not in (0, 126, 127) and r.stderr, r
r = run("sh", "-c", 'echo $$; echo "$LD_PRELOAD"', LD_PRELOAD="libc.so.6")
assert r.stdout.splitlines()[1].split(":")[-1] == "libc.so.6" and "libvtshim.so" in r.stdout, r
# exec: the program has vtrun's own process id
p = subprocess.Popen([VTRUN, "sh", "-c", "echo $$"], env=env, stdout=subprocess.PIPE, text=True)
assert int(p.communicate()[0]) == p.pid
with tempfile.TemporaryDirectory() as folder:
    plain = os.path.join(folder, "plain")
    open(plain, "w").write("no program\n")
    assert run(plain).returncode == 126
    assert run(folder).returncode == 126
    source, static = os.path.join(folder, "s.c"), os.path.join(folder, "static")
    open(source, "w").write("int main(void) { return 7; }\n")
    subprocess.run(["gcc", "-static", source, "-o", static], check=True, env=env)
    r = run(static)
    assert r.returncode == 7 and r.stderr.startswith("vtrun: ") and r.stderr.count("\n") == 1, r
    if os.geteuid() == 0:
        subprocess.run(["gcc", source, "-o", static], check=True, env=env)
        os.chown(static, 1, -1)
        os.chmod(static, 0o4755)
        r = run(static)
        assert r.returncode == 7 and r.stderr.count("\n") == 1, r
