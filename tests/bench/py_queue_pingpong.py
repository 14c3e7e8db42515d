"""Two threads send an item to and fro through two queue.Queues; prints nanoseconds a round trip. See calibrated.pingpong."""
import queue

import calibrated


def run(n, in_main):
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

    calibrated.play(serve, drive, in_main)
    if wrong:
        raise SystemExit(f"{len(wrong)} items came back wrong")


calibrated.pingpong(run)
