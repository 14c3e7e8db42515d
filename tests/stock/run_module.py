"""Runs one module of CPython's own test suite through libregrtest and writes what happened to each test.

Usage: run_module.py EVENTS MODULE [--match TEST_ID] [--ignore TEST_ID]... (options of libregrtest)

EVENTS is a file; one JSON object is appended to it per event:
  {"start": ID}                                         a test begins
  {"end": ID, "outcome": WORD, "seconds": S}            it ended; WORD is ok, FAIL, ERROR, skipped, xfail or xpass
  {"module": WORD}                                      the module ended: good, bad, skipped, altered or empty
The last line is missing when the process died or hung. The tests themselves, their set-up and their options are those of
`python3 -m test -v MODULE`: only the result class is extended. Used by scripts/stock_tests; knows nothing of vtshim.
"""

import json
import os
import sys
import time

kRank = {"ok": 0, "skipped": 1, "xfail": 2, "xpass": 3, "FAIL": 4, "ERROR": 5}


def make_result_class(base, emit):
    """Returns a result class that emits an event per test; sub-tests count into their test, the worst outcome wins."""

    class RecordingResult(base):
        def startTest(self, test):
            self._worst = "ok"
            self._started = time.perf_counter()
            self._id = test.id()  # some tests overwrite their id()
            emit({"start": self._id})
            super().startTest(test)

        def stopTest(self, test):
            super().stopTest(test)
            emit({"end": self._id, "outcome": self._worst, "seconds": round(time.perf_counter() - self._started, 3)})

        def _note(self, test, outcome):
            # Errors of setUpClass and setUpModule come outside of any test and carry a pseudo test of their own.
            if type(test).__name__ == "_ErrorHolder":
                emit({"end": test.id(), "outcome": outcome, "seconds": 0})
            elif kRank[outcome] > kRank[self._worst]:
                self._worst = outcome

        def addError(self, test, err):
            self._note(test, "ERROR")
            super().addError(test, err)

        def addFailure(self, test, err):
            self._note(test, "FAIL")
            super().addFailure(test, err)

        def addSkip(self, test, reason):
            self._note(test, "skipped")
            super().addSkip(test, reason)

        def addExpectedFailure(self, test, err):
            self._note(test, "xfail")
            super().addExpectedFailure(test, err)

        def addUnexpectedSuccess(self, test):
            self._note(test, "xpass")
            super().addUnexpectedSuccess(test)

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self._note(test, "FAIL" if issubclass(err[0], test.failureException) else "ERROR")
            super().addSubTest(test, subtest, err)

    return RecordingResult


def main():
    events, module = os.path.abspath(sys.argv[1]), sys.argv[2]
    options = sys.argv[3:]
    # `python3 -m test` has the working directory first in sys.path, not this script's folder.
    sys.path[0] = os.getcwd()

    me = os.getpid()
    # Tests may mock these.
    os_open, os_write, os_close, getpid = os.open, os.write, os.close, os.getpid
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

    def emit(event):
        if getpid() != me:  # a forked child that came back into the test runner
            return
        # Not kept open: some tests count or close descriptors.
        fd = os_open(events, flags, 0o644)
        os_write(fd, (json.dumps(event) + "\n").encode())
        os_close(fd)

    from test.libregrtest.main import Regrtest
    from test.support import testresult

    testresult.RegressionTestResult = make_result_class(testresult.RegressionTestResult, emit)
    sys.argv = ["-m test", "-v", *options, module]
    regrtest = Regrtest()
    try:
        regrtest.main()
    finally:
        words = (("bad", "bad"), ("environment_changed", "altered"), ("skipped", "skipped"), ("run_no_tests", "empty"))
        outcome = next((word for name, word in words if getattr(regrtest, name)), "good")
        emit({"module": outcome})


if __name__ == "__main__":
    main()
