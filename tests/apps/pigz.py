"""pigz with 4 threads compresses and expands, and what comes out is what went in; gzip expands it, too."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import app, text

pigz, where = app.program("pigz"), app.folder()
path = text.write(os.path.join(where, "text"), 8 << 20)
most = 0
for options in (["-p", "4"], ["-p", "4", "-i", "-b", "64"], ["-p", "16", "-9", "-b", "128"]):
    for argv, source, target in ((options, path, path + ".gz"), ([*options, "-d"], path + ".gz", path + ".out")):
        with open(source, "rb") as i, open(target, "wb") as o, app.App([pigz, *argv], stdin=i, stdout=o) as it:
            it.ends()
            most = it.threads = max(most, it.threads)
    text.same(path, path + ".out")
    with open(path + ".out", "wb") as o: subprocess.run(["gzip", "-dc", path + ".gz"], stdout=o, check=True)
    text.same(path, path + ".out")
app.figure("3 times 8 MiB there and back", it)
