"""pyglue's module: it tells a virtual thread from a platform one and pins; without the shim it says False and does nothing."""
import errno, os, sys, threading, time
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, "build/pyglue"))
import vtshim

under = "libvtshim.so" in os.environ.get("LD_PRELOAD", "")
answers = []
thread = threading.Thread(target=lambda: answers.append((vtshim.active(), vtshim.is_virtual())))
thread.start()
thread.join()
assert answers == [(under, under)], answers
# Main takes part once there are threads.
assert (vtshim.active(), vtshim.is_virtual()) == (under, under)


def pinned():
    def where():
        return os.readlink("/proc/thread-self")  # by the kernel's view: the OS thread

    with vtshim.pinned() as nothing:
        assert nothing is None
        seen = {where()}
        for _ in range(20):
            time.sleep(0.001)
            seen.add(where())
        vtshim.pin()
        vtshim.unpin()
    assert len(seen) == 1, seen
    if under:
        try:
            vtshim.unpin()
            assert False, "unpin() without pin()"
        except OSError as e:
            assert e.errno == errno.EINVAL, e
    else:
        vtshim.unpin()
    answers.append("pinned")


threads = [threading.Thread(target=pinned) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert answers[1:] == ["pinned"] * 4, answers
