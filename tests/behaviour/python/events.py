"""threading's Event, Barrier and Timer: release of all, timeouts, broken barriers, cancelled timers."""
import faulthandler, threading, time, unittest

faulthandler.dump_traceback_later(50, exit=True)


def run(count, body):
    made = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for t in made: t.start()
    return made


class Events(unittest.TestCase):
    def test_event_releases_all(self):
        event, out = threading.Event(), []
        made = run(100, lambda i: out.append(event.wait()))
        event.set()
        for t in made: t.join()
        self.assertEqual(out, [True] * 100)
        self.assertTrue(event.wait(0))
        event.clear()
        start = time.monotonic()
        self.assertFalse(event.wait(0.1))
        self.assertGreaterEqual(time.monotonic() - start, 0.09)

    def test_event_timeouts_in_threads(self):
        event, out = threading.Event(), []
        made = run(50, lambda i: out.append(event.wait(0.01 * (i % 5 + 1))))
        for t in made: t.join()
        self.assertEqual(out, [False] * 50)

    def test_barrier_rounds(self):
        parties, rounds = 10, 30
        actions, orders, check = [0], [[] for _ in range(rounds)], []
        def action(): actions[0] += 1
        barrier = threading.Barrier(parties, action)
        def body(i):
            for r in range(rounds):
                orders[r].append(barrier.wait(40))
                check.append(actions[0] >= r + 1)
        for t in run(parties, body): t.join()
        self.assertEqual(actions[0], rounds)
        for order in orders: self.assertEqual(sorted(order), list(range(parties)))
        self.assertTrue(all(check))

    def test_barrier_breaks(self):
        barrier, out = threading.Barrier(5), []
        def body(timeout):
            try:
                barrier.wait(timeout)
            except threading.BrokenBarrierError:
                out.append("broken")
        made = run(3, lambda i: body(0.1 if i == 0 else 40))
        for t in made: t.join()
        self.assertEqual(out, ["broken"] * 3)
        self.assertTrue(barrier.broken)
        barrier.reset()
        made = run(5, lambda i: out.append(barrier.wait(40)))
        for t in made: t.join()
        self.assertEqual(sorted(out[3:]), [0, 1, 2, 3, 4])

    def test_barrier_abort(self):
        barrier, out = threading.Barrier(3), []
        def body(i):
            try:
                barrier.wait(40)
            except threading.BrokenBarrierError:
                out.append(i)
        made = run(2, body)
        barrier.abort()
        for t in made: t.join()
        self.assertEqual(sorted(out), [0, 1])

    def test_timers(self):
        fired, start = [], time.monotonic()
        timers = [threading.Timer(0.1, lambda i=i: fired.append((i, time.monotonic() - start))) for i in range(100)]
        never = [threading.Timer(1000, fired.append, args=("never",)) for _ in range(20)]
        for t in timers + never: t.start()
        for t in never: t.cancel()
        for t in timers + never: t.join()
        self.assertEqual(sorted(i for i, _ in fired), list(range(100)))
        self.assertGreaterEqual(min(at for _, at in fired), 0.09)

    def test_a_timer_starts_a_timer(self):
        done, count = threading.Event(), [0]
        def again():
            count[0] += 1
            if count[0] == 10: done.set()
            else: threading.Timer(0.001, again).start()
        again()
        self.assertTrue(done.wait(40))


if __name__ == "__main__":
    unittest.main()
