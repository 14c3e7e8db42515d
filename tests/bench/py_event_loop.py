"""An echo server on an event loop: asyncio's (--loop asyncio, the default), uvloop's or trio. In main, or with --thread in a thread beside 50
others that are busy now and then. Prints "port N" and runs until killed; exit 77 if the loop isn't installed."""
import asyncio
import functools
import sys
import threading
import time

BESIDE, EVERY, WORK = 50, 0.02, 2000  # threads; s between their turns; iterations of each
LOOP = sys.argv[sys.argv.index("--loop") + 1] if "--loop" in sys.argv else "asyncio"


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve_asyncio():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def serve_trio():
    async def echo(stream):
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(functools.partial(trio.serve_tcp, host="127.0.0.1"), echo, 0)
        print("port", listeners[0].socket.getsockname()[1], flush=True)


if LOOP == "trio":
    try:
        import trio
    except ImportError:
        sys.exit(77)
    run = lambda: trio.run(serve_trio)
elif LOOP == "uvloop":
    try:
        import uvloop
    except ImportError:
        sys.exit(77)
    uvloop.install()
    run = lambda: asyncio.run(serve_asyncio())
else:
    run = lambda: asyncio.run(serve_asyncio())


def busy_now_and_then(number):
    time.sleep(EVERY * number / BESIDE)
    while True:
        sum(range(WORK))
        time.sleep(EVERY)


if "--thread" in sys.argv:
    for i in range(BESIDE):
        threading.Thread(target=busy_now_and_then, args=(i,), daemon=True).start()
    server = threading.Thread(target=run)
    server.start()
    server.join()
else:
    run()
