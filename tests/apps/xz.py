"""xz -T compresses and expands with threads, and what comes out is what went in; one thread expands it, too."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app, text

xz, where = app.program("xz"), app.folder()
path = text.write(os.path.join(where, "text"), 4 << 20)
most = 0
for options in (["-T4", "-0", "--block-size=256KiB"], ["-T16", "-1", "--block-size=128KiB"], ["-T0", "-0", "--block-size=1MiB"]):
    for argv, source, target in ((options, path, path + ".xz"), ([options[0], "-d"], path + ".xz", path + ".out")):
        with open(source, "rb") as i, open(target, "wb") as o, app.App([xz, *argv], stdin=i, stdout=o) as it:
            it.ends()
            most = it.threads = max(most, it.threads)
    text.same(path, path + ".out")
    with open(path + ".out", "wb") as o: subprocess.run([xz, "-dc", "-T1", path + ".xz"], stdout=o, check=True)
    text.same(path, path + ".out")
app.figure("3 times 4 MiB there and back", it)
