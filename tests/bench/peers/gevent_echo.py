"""gevent's way: a greenlet per connection, recv and sendall. Prints "port N" and runs until killed."""
import contextlib
import socket

import gevent.server


def serve(connection, _):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, contextlib.suppress(ConnectionResetError):
        while data := connection.recv(64):
            connection.sendall(data)


server = gevent.server.StreamServer(("127.0.0.1", 0), serve, backlog=4096)
server.start()
print("port", server.server_port, flush=True)
server.serve_forever()
