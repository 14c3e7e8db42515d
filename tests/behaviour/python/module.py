"""pyglue's module: it tells a virtual thread from a platform one, and says False without the shim."""
import glob, os, sys, threading
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, "build"))
import vtshim

under = "libvtshim.so" in os.environ.get("LD_PRELOAD", "")
answers = []
thread = threading.Thread(target=lambda: answers.append((vtshim.active(), vtshim.is_virtual())))
thread.start()
thread.join()
assert answers == [(under, under)], answers
# Main takes part once there are threads.
assert (vtshim.active(), vtshim.is_virtual()) == (under, under)
