"""shim/interpose.def and left.def against libc: every function that libc exports is in the table, interposed or left with a reason, and
at the version that the table was made for; what the table names, libc has. So a new glibc's functions and versions show up here. And tests/behaviour/README.md:
each interposed function has a test."""
import fnmatch, os, re, subprocess, sys
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, "tests"))
import table_page
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
LOOKED_AT = (2, 43)  # the reasons hold up to this version of libc's
HERE = tuple(int(n) for n in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))
TEXT = r'((?:"[^"]*"\s*)+)'


def strings(literals):
    return "".join(re.findall(r'"([^"]*)"', literals))


def functions():
    """name: {version: address}, and the default versions. Without GLIBC_PRIVATE and data."""
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    out = subprocess.run(["nm", "-D", "--with-symbol-versions", "--defined-only", LIBC], stdout=subprocess.PIPE, text=True, check=True, env=env)
    found, default = {}, {}
    for address, kind, symbol in (line.split() for line in out.stdout.splitlines() if len(line.split()) == 3):
        name, at, version = symbol.partition("@")
        if kind not in "TWi" or "GLIBC_PRIVATE" in version:
            continue
        if version.startswith("@"):
            default[name] = version[1:]
        found.setdefault(name, {})[version.lstrip("@")] = address
    return found, default


read = lambda name: open(os.path.join(TOP, "shim", name)).read()
rows = dict(re.findall(r'^VT_ROW\((\w+), "([\w.]+)"', read("interpose.def"), re.M))
old = {(n, v) for why, v, names in re.findall(rf'^VT_OLD\({TEXT},\s*"([\w.]+)",\s*{TEXT}\)', read("interpose.def"), re.M) for n in strings(names).split()}
left = [(strings(why), strings(names).split()) for why, names in re.findall(rf"^VT_LEFT\({TEXT},\s*{TEXT}\)", read("left.def"), re.M)]
left += [(strings(why), strings(names).split()) for since, why, names in re.findall(rf'^VT_LEFT_SINCE\("([\d.]+)",\s*{TEXT},\s*{TEXT}\)', read("left.def"), re.M)
         if HERE >= tuple(int(n) for n in since.split("."))]
libc, default = functions()

bad = []
reason = {}
for why, globs in left:
    if not why:
        bad.append(f"no reason: {globs}")
    for glob in globs:
        hits = fnmatch.filter(libc, glob)
        if not hits:
            bad.append(f"{glob}: left, but no function of libc's")
        for name in hits:
            if name in rows:
                bad.append(f"{name}: interposed, and left as {glob}")
            if reason.setdefault(name, why) != why:
                bad.append(f"{name}: left for two reasons, as {glob}")
for name, versions in sorted(libc.items()):
    if name not in rows and name not in reason:
        bad.append(f"{name}: not in the table")
    newest = tuple(int(n) for n in re.findall(r"\d+", default.get(name, "")))
    if name in rows:
        if name in default and default[name] != rows[name]:
            bad.append(f"{name}: libc's default is {default[name]}, the row's {rows[name]}")
        for version, address in versions.items():  # versions of one address are one function
            if address != versions.get(rows[name]) and (name, version) not in old:
                bad.append(f"{name}@{version}: an older function of its own, of which the table says nothing")
    elif newest[:2] > LOOKED_AT:
        bad.append(f"{name}: {default[name]} is newer than left.def")
bad += [f"{n}@{v}: not so in libc" for n, v in sorted(old) if v not in libc.get(n, {})]
bad += table_page.check()
print("\n".join(bad) or f"{len(rows)} interposed, {len(reason)} left for {len(left)} reasons")
sys.exit(1 if bad or not rows or not left else 0)
