"""asyncio's streams, on its own loop or, with an argument `uvloop`, on that. Prints "port N" and runs until killed."""
import asyncio
import contextlib
import sys

if "uvloop" in sys.argv:
    import uvloop
    uvloop.install()


async def serve(reader, writer):
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(64):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)  # TCP_NODELAY is asyncio's default
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
