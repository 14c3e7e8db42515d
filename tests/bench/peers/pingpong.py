"""A turn (or `queue`: an item) to and fro: `greenlet` by bare switches, `gevent` by its semaphores or queues, `asyncio` and `uvloop` by
asyncio's semaphores or queues. Prints nanoseconds a round trip."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import calibrated

WHOSE, BY_QUEUE = sys.argv[1], "queue" in sys.argv[2:]


def run_greenlet(n):
    import greenlet

    def serve():
        for _ in range(n):
            main.switch()

    main = greenlet.getcurrent()
    other = greenlet.greenlet(serve)
    for _ in range(n):
        other.switch()


def run_gevent(n):
    import gevent.lock
    import gevent.queue
    if BY_QUEUE:
        there, back = gevent.queue.Queue(), gevent.queue.Queue()

        def serve():
            for _ in range(n):
                back.put(there.get())

        def drive():
            for i in range(n):
                there.put(i)
                back.get()
    else:
        ping, pong = gevent.lock.Semaphore(0), gevent.lock.Semaphore(0)

        def serve():
            for _ in range(n):
                ping.acquire()
                pong.release()

        def drive():
            for _ in range(n):
                ping.release()
                pong.acquire()

    gevent.joinall([gevent.spawn(serve), gevent.spawn(drive)], raise_error=True)


def run_asyncio(n):
    import asyncio

    async def both():
        if BY_QUEUE:
            there, back = asyncio.Queue(), asyncio.Queue()

            async def serve():
                for _ in range(n):
                    back.put_nowait(await there.get())

            async def drive():
                for i in range(n):
                    there.put_nowait(i)
                    await back.get()
        else:
            ping, pong = asyncio.Semaphore(0), asyncio.Semaphore(0)

            async def serve():
                for _ in range(n):
                    await ping.acquire()
                    pong.release()

            async def drive():
                for _ in range(n):
                    ping.release()
                    await pong.acquire()

        await asyncio.gather(serve(), drive())

    asyncio.run(both())


if WHOSE == "uvloop":
    import uvloop
    uvloop.install()
calibrated.measure({"greenlet": run_greenlet, "gevent": run_gevent}.get(WHOSE, run_asyncio))
