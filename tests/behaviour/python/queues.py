"""queue.Queue, LifoQueue, PriorityQueue and SimpleQueue between many producers and consumers; bounds and timeouts."""
import faulthandler, queue, threading, time, unittest

faulthandler.dump_traceback_later(50, exit=True)
LAST = 1 << 60


class Queues(unittest.TestCase):
    def exchange(self, q, producers, consumers, each):
        taken = []
        def produce(base):
            for i in range(each): q.put(base * each + i)
        def consume():
            mine = []
            while (item := q.get()) != LAST: mine.append(item)
            taken.append(mine)
        eaters = [threading.Thread(target=consume) for _ in range(consumers)]
        makers = [threading.Thread(target=produce, args=(i,)) for i in range(producers)]
        for t in eaters + makers: t.start()
        for t in makers: t.join()
        while not q.empty(): time.sleep(0.001)
        for _ in eaters: q.put(LAST)
        for t in eaters: t.join()
        self.assertEqual(sorted(x for mine in taken for x in mine), list(range(producers * each)))
        return taken

    def test_queue(self): self.exchange(queue.Queue(5), 40, 40, 50)
    def test_queue_unbounded(self): self.exchange(queue.Queue(), 40, 10, 50)
    def test_lifo(self): self.exchange(queue.LifoQueue(5), 20, 20, 50)
    def test_priority(self): self.exchange(queue.PriorityQueue(5), 20, 20, 50)
    def test_simple(self): self.exchange(queue.SimpleQueue(), 40, 40, 50)

    def test_one_consumer_sees_each_producers_order(self):
        for q in queue.Queue(3), queue.SimpleQueue():
            [mine] = self.exchange(q, 10, 1, 100)
            for p in range(10):
                own = [x for x in mine if x // 100 == p]
                self.assertEqual(own, sorted(own))

    def test_timeouts(self):
        for q in queue.Queue(1), queue.SimpleQueue():
            start = time.monotonic()
            self.assertRaises(queue.Empty, q.get, timeout=0.1)
            self.assertGreaterEqual(time.monotonic() - start, 0.09)
            self.assertRaises(queue.Empty, q.get_nowait)
        q = queue.Queue(1)
        q.put(1)
        self.assertRaises(queue.Full, q.put_nowait, 2)
        self.assertRaises(queue.Full, q.put, 2, timeout=0.05)

    def test_join_waits_for_task_done(self):
        q, done = queue.Queue(), []
        def work():
            while (x := q.get()) is not None:
                time.sleep(0.001)
                done.append(x)
                q.task_done()
            q.task_done()
        made = [threading.Thread(target=work) for _ in range(10)]
        for t in made: t.start()
        for i in range(100): q.put(i)
        q.join()
        self.assertEqual(sorted(done), list(range(100)))
        for _ in made: q.put(None)
        for t in made: t.join()


if __name__ == "__main__":
    unittest.main()
