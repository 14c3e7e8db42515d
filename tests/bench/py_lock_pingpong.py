"""Two threads hand a turn to and fro through two threading.Locks; prints nanoseconds a round trip. See calibrated.pingpong."""
import threading

import calibrated


def run(n, in_main):
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

    calibrated.play(serve, drive, in_main)


calibrated.pingpong(run)
