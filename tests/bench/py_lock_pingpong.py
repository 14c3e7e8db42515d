"""Two worker threads hand a turn to and fro through two threading.Locks; prints nanoseconds a round trip."""
import threading

import calibrated


def run(n):
    ping, pong = threading.Lock(), threading.Lock()
    ping.acquire()
    pong.acquire()

    def serve():
        for _ in range(n):
            ping.acquire()
            pong.release()

    def drive():
        for _ in range(n):
            ping.release()
            pong.acquire()

    threads = [threading.Thread(target=f) for f in (serve, drive)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


calibrated.measure(run)
