"""Two threads hand a turn to and fro through two threading.Events; prints nanoseconds a round trip. See calibrated.pingpong."""
import threading

import calibrated


def run(n, in_main):
    ping, pong = threading.Event(), threading.Event()

    def serve():
        for _ in range(n):
            ping.wait()
            ping.clear()
            pong.set()

    def drive():
        for _ in range(n):
            ping.set()
            pong.wait()
            pong.clear()

    calibrated.play(serve, drive, in_main)


calibrated.pingpong(run)
