"""Programs on event loops behave the same, in main and in a thread beside 50 others: asyncio, and uvloop and trio where installed."""
import asyncio, functools, os, signal, socket, subprocess, sys, threading, time

BESIDE, CONNECTIONS, ROUNDS = 50, 40, 15
here = lambda: threading.current_thread() is threading.main_thread()


def talk(port, number):
    """A client of blocking calls: every answer must be its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        for k in range(ROUNDS):
            text = b"%04d-%04d." % (number, k) * (1 + k * 50)
            s.sendall(text)
            got = b""
            while len(got) < len(text): got += s.recv(len(text) - len(got)) or sys.exit("the server hung up")
            assert got == text, (number, k)
    return number


async def answers():
    async def echo(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    # Blocking clients in a pool's threads, beside others on the loop itself.
    async def client(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for k in range(ROUNDS):
            writer.write(b"%d/%d\n" % (number, k))
            assert await reader.readline() == b"%d/%d\n" % (number, k)
        writer.close()
        await writer.wait_closed()
        return number
    clients = [loop.run_in_executor(None, talk, port, i) for i in range(CONNECTIONS)] + [client(i) for i in range(CONNECTIONS)]
    assert await asyncio.gather(*clients) == list(range(CONNECTIONS)) * 2
    server.close()


async def timing():
    order = []
    async def after(seconds):
        await asyncio.sleep(seconds)
        order.append(seconds)
    waits = [0.12, 0.04, 0.08, 0.0]
    begun = time.monotonic()
    await asyncio.gather(*map(after, waits))
    assert order == sorted(waits), order
    assert time.monotonic() - begun >= 0.119
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.02)
        raise AssertionError("nobody sets it")
    except asyncio.TimeoutError:
        pass


async def hand_over():
    """Between threads and the loop: call_soon_threadsafe, to_thread, run_coroutine_threadsafe, a task that is cancelled."""
    loop = asyncio.get_running_loop()
    seen, done = [], asyncio.Event()
    def from_outside():
        for i in range(100):
            loop.call_soon_threadsafe(seen.append, i)
            if i % 10 == 0: time.sleep(0.001)
        loop.call_soon_threadsafe(done.set)
    thread = threading.Thread(target=from_outside)
    thread.start()
    await done.wait()
    thread.join()
    assert seen == list(range(100))
    async def double(x):
        await asyncio.sleep(0.001)
        return 2 * x
    assert await asyncio.gather(*[asyncio.to_thread(lambda i=i: asyncio.run_coroutine_threadsafe(double(i), loop).result()) for i in range(20)]) \
        == [2 * i for i in range(20)]
    task = loop.create_task(asyncio.sleep(1000))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
        raise AssertionError("cancelled")
    except asyncio.CancelledError:
        pass


async def processes_and_signals():
    process = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = await process.communicate(b"x" * 100000)
    assert out == b"x" * 100000 and process.returncode == 0
    got = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(got.wait(), 10)
    loop.remove_signal_handler(signal.SIGUSR1)


async def everything():
    await answers()
    await timing()
    await hand_over()
    if here(): await processes_and_signals()


def with_asyncio():
    asyncio.run(everything())


def with_uvloop():
    import uvloop
    loop = uvloop.new_event_loop()
    if here():
        asyncio.set_event_loop(loop)
        asyncio.get_child_watcher().attach_loop(loop)
    loop.run_until_complete(everything())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    if here(): asyncio.set_event_loop(None)


def with_trio():
    import trio
    async def run():
        async def echo(stream):
            async for data in stream: await stream.send_all(data)
        async with trio.open_nursery() as nursery:
            listener, = await nursery.start(functools.partial(trio.serve_tcp, host="127.0.0.1"), echo, 0)
            got = []
            async with trio.open_nursery() as clients:
                for i in range(CONNECTIONS):
                    async def client(i=i): got.append(await trio.to_thread.run_sync(talk, listener.socket.getsockname()[1], i))
                    clients.start_soon(client)
            assert sorted(got) == list(range(CONNECTIONS))
            begun = time.monotonic()
            with trio.move_on_after(0.05): await trio.sleep_forever()
            assert time.monotonic() - begun >= 0.049
            assert await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(lambda: 7)) == 7
            nursery.cancel_scope.cancel()
    trio.run(run)


def in_thread(body):
    result = []
    def call():
        body()
        result.append(True)
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert result, "the loop's thread failed"


def beside(stop):
    while not stop.wait(0.02): sum(range(2000))


def installed(module):
    try:
        __import__(module)
        return True
    except ImportError:
        return False


bodies = [with_asyncio] + [body for module, body in (("uvloop", with_uvloop), ("trio", with_trio)) if installed(module)]
for body in bodies: body()
stop = threading.Event()
others = [threading.Thread(target=beside, args=(stop,)) for _ in range(BESIDE)]
for t in others: t.start()
for body in bodies:
    in_thread(body)
    body()
stop.set()
for t in others: t.join()
print(len(bodies), "kinds of loop, in main and in a thread")
