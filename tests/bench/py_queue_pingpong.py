"""Two worker threads send an item to and fro through two queue.Queues; prints nanoseconds a round trip."""
import queue
import threading

import calibrated


def run(n):
    there, back = queue.Queue(), queue.Queue()
    wrong = []

    def serve():
        for _ in range(n):
            back.put(there.get())

    def drive():
        for i in range(n):
            there.put(i)
            if back.get() != i:
                wrong.append(i)

    threads = [threading.Thread(target=f) for f in (serve, drive)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong:
        raise SystemExit(f"{len(wrong)} items came back wrong")


calibrated.measure(run)
