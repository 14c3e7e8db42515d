"""A thread per connection, recv and sendall: the plainest server in Python. Prints "port N" and runs until killed."""
import contextlib
import socket
import threading


def serve(connection):
    with connection, contextlib.suppress(ConnectionResetError):
        while data := connection.recv(64):
            connection.sendall(data)


with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
    print("port", listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
