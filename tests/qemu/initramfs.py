"""An initramfs (a cpio archive, "newc") made of files of this machine: programs with the libraries that they need, and whole folders."""
import os, re, stat, subprocess

LOADER = "/lib64/ld-linux-x86-64.so.2"


def libraries(path):
    """The shared libraries of a program, the loader included; none for scripts and static programs."""
    r = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return re.findall(r"(/\S+) \(0x", r.stdout)


class Archive:
    """Each name once, folders before what is in them; symbolic links on the way to a file are taken along, as /lib -> usr/lib."""

    def __init__(self, out):
        self.out, self.names, self.number = out, set(), 0

    def entry(self, name, mode, data=b"", mtime=0, device=(0, 0)):
        if name in self.names:
            return
        self.names.add(name)
        self.number += 1
        raw = name.lstrip("/").encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, int(mtime), len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self.out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        """`name` and those above it; returns where it really is."""
        if name == "/":
            return name
        path = os.path.join(self.folder(os.path.dirname(name)), os.path.basename(name))
        if os.path.islink(path):
            self.entry(path, stat.S_IFLNK | 0o777, os.readlink(path).encode())
            return self.folder(os.path.realpath(path))
        self.entry(path, stat.S_IFDIR | 0o755)
        return path

    def file(self, name, source=None):
        """A file of this machine, under its own name; or `source` under another."""
        name = os.path.join(self.folder(os.path.dirname(name)), os.path.basename(name))
        source = source or name
        if os.path.islink(source):
            self.entry(name, stat.S_IFLNK | 0o777, os.readlink(source).encode())
            return self.file(os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(source))))
        with open(source, "rb") as f:
            about = os.fstat(f.fileno())
            self.entry(name, about.st_mode, f.read(), about.st_mtime)

    def program(self, name):
        self.file(name)
        for library in libraries(name):
            self.file(library)

    def tree(self, top, leave_out=()):
        """Whole folders; of these names nothing, at any depth."""
        for where, folders, files in os.walk(top):
            folders[:] = [f for f in folders if f not in leave_out]
            self.folder(where)
            for f in files:
                if os.path.exists(os.path.join(where, f)):
                    self.file(os.path.join(where, f))

    def device(self, name, major, minor):
        self.entry(os.path.join(self.folder(os.path.dirname(name)), os.path.basename(name)), stat.S_IFCHR | 0o600, device=(major, minor))

    def end(self):
        self.entry("TRAILER!!!", 0)
