"""VTSHIM_PIN=callback: while a Python function that C code called sleeps, its thread comes back to the same OS thread, on which no other
virtual thread has run; with Python frames only, threads migrate."""
import ctypes, functools, importlib.util, os, queue, subprocess, sys, sysconfig, tempfile, threading, time

under = "libvtshim.so" in os.environ.get("LD_PRELOAD", "")
if under and "VTSHIM_PIN" not in os.environ:
    os.environ["VTSHIM_PIN"] = "callback"
    os.execv(sys.executable, [sys.executable] + sys.argv)

SOURCE = r"""
#include <Python.h>
static char taken[1 << 22]; /* by OS thread: somebody is in a callback there */
static long os_tid(void) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(186L) : "rcx", "r11", "memory");
  return r;
}
static PyObject *tid(PyObject *s, PyObject *a) { return PyLong_FromLong(os_tid()); }
static PyObject *enter(PyObject *s, PyObject *a) { return PyLong_FromLong(taken[os_tid()]++); }
static PyObject *leave(PyObject *s, PyObject *a) { return PyLong_FromLong(--taken[os_tid()]); }
static PyObject *look(PyObject *s, PyObject *a) { return PyLong_FromLong(taken[os_tid()]); }
static PyObject *call(PyObject *s, PyObject *f) {
  PyObject *r = PyObject_CallObject(f, NULL);
  PyErr_CheckSignals(); /* not the last call: the frame stays */
  return r;
}
int through_c(int (*f)(int), int x) { int r = f(x); __asm__ volatile(""); return r + 1; }
static PyMethodDef methods[] = {{"tid", tid, METH_NOARGS}, {"enter", enter, METH_NOARGS}, {"leave", leave, METH_NOARGS},
  {"look", look, METH_NOARGS}, {"call", call, METH_O}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "back", 0, -1, methods};
PyMODINIT_FUNC PyInit_back(void) { return PyModule_Create(&module); }
"""
with tempfile.TemporaryDirectory() as folder:
    so = os.path.join(folder, "back.so")
    open(os.path.join(folder, "back.c"), "w").write(SOURCE)
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-I" + sysconfig.get_paths()["include"], os.path.join(folder, "back.c"), "-o", so], check=True)
    spec = importlib.util.spec_from_file_location("back", so)
    back = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(back)
    lib = ctypes.CDLL(so)

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
lock, box, errors, trespasses, stop = threading.Lock(), queue.Queue(), [], [], False


def parks(i):
    if i % 3 == 0: time.sleep(0.0005)
    elif i % 3 == 1:
        with lock: time.sleep(0.0001)
    else:
        r, w = os.pipe()
        os.write(w, b"x"), os.read(r, 1)
        os.close(r), os.close(w)


def sleeps_in_callback(x=0):
    mine = back.tid()
    assert back.enter() == 0
    for i in range(6):
        parks(i)
        assert back.tid() == mine, "moved inside a callback"
    assert back.leave() == 0
    return x


def inside_other_callback(x=0):
    """The inner callback ends; the outer one goes on."""
    mine = back.tid()
    assert back.enter() == 0
    for i in range(3):
        sorted([2, 1], key=lambda v: (parks(i), v)[1])
        parks(i)
        assert back.tid() == mine
    assert back.leave() == 0
    return x


class Plain:
    def none(self): return self.spread(*(1, 2), **{"c": 3})
    def spread(self, a, *b, c=0): return [x for x in self.generate()]
    def generate(self):
        parks(0)
        yield back.tid()
        yield from self.more()
    def more(self):
        parks(1)
        yield back.tid()


def plain(seen, rounds):
    def inner(*args):
        for i in range(rounds):
            for t in Plain().generate(): seen.add(t)
            parks(i)
            if back.look(): trespasses.append("plain")
            seen.add(back.tid())
    inner(*(1, 2))


moved = {"plain": 0, "between": 0}


def worker(n):
    try:
        seen, between = set(), set()
        plain(seen, 15)
        f = (sleeps_in_callback, inside_other_callback)[n % 2]
        for way in (
            lambda: sorted([3, 1], key=f),
            lambda: functools.reduce(lambda a, b: f(a + b), [1, 2, 3]),
            lambda: lib.through_c(CALLBACK(f), 1),
            lambda: back.call(f),
            lambda: list(map(f, [1, 2])),
            lambda: functools.partial(f, 1)(),
            lambda: max(*[1, 2], key=f),
        ):
            way()
            parks(n)
            between.add(back.tid())
        for i in range(10):
            parks(i)
            between.add(back.tid())
        moved["plain"] += len(seen) > 1
        moved["between"] += len(between) > 1
    except BaseException as e:
        errors.append(repr(e))
        raise


def other():
    i = 0
    while not stop:
        i += 1
        parks(i)
        if back.look(): trespasses.append("other")


class AsMethod(threading.Thread):
    def run(self): plain(self.seen, 15)


others = [threading.Thread(target=other) for _ in range(6)]
workers = [threading.Thread(target=worker, args=(n,)) for n in range(8)]
methods = [AsMethod() for _ in range(3)]
for t in methods: t.seen = set()
for t in others + workers + methods: t.start()
sleeps_in_callback()  # main's OS thread is main's
sorted([1, 2], key=sleeps_in_callback)
for t in workers + methods: t.join()
stop = True
for t in others: t.join()
assert not errors, errors
assert not trespasses, trespasses
print(moved, [len(t.seen) for t in methods])
if under and os.environ.get("VTSHIM_CHAOS"):  # seeded moves at each park: whoever isn't pinned moves
    assert moved["plain"] == len(workers) and moved["between"] == len(workers), moved
    assert all(len(t.seen) > 1 for t in methods)
