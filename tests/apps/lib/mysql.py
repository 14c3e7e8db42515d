"""A client of MySQL's protocol, as small as will do: log in without a password, ask, get an answer of text."""
import os, struct
import app


class Failed(Exception):
    """The server's error: args are its number and text."""


class Client(app.Line):
    def __init__(self, path, user="root"):
        super().__init__(None, path)
        hello = self.packet()
        assert hello[0] == 10, hello
        self.id = struct.unpack_from("<I", hello, hello.index(0) + 1)[0]
        # Protocol 4.1, secure connection, plugin's name; an empty answer is that of an empty password.
        self.put(1, struct.pack("<IIB23x", 0x88200 | 1 << 13, 1 << 24, 33) + user.encode() + b"\0\0mysql_native_password\0")
        self.ok(self.packet())

    def packet(self):
        head = self.exactly(4)
        self.number = head[3]
        return self.exactly(int.from_bytes(head[:3], "little"))

    def put(self, number, data):
        self.send(len(data).to_bytes(3, "little") + bytes([number]) + data)

    def ok(self, data):
        if data[0] == 0xFF: raise Failed(struct.unpack_from("<H", data, 1)[0], data[9:].decode())
        return data

    def query(self, sql):
        """Sends a question; `result` waits for the answer."""
        self.put(0, b"\x03" + sql.encode())

    def result(self):
        """Rows of strings, or the number of rows that were changed."""
        head = self.ok(self.packet())
        if head[0] == 0: return number(head, 1)[0]
        for _ in range(head[0]): self.packet()
        self.packet()
        rows = []
        while (data := self.ok(self.packet()))[0] != 0xFE or len(data) > 8: rows.append(fields(data))
        return rows

    def ask(self, sql):
        self.query(sql)
        return self.result()


def number(data, at):
    """One with its length before it, and where it ends."""
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(data[at], 0)
    return (int.from_bytes(data[at + 1:at + 1 + size], "little") if size else data[at]), at + 1 + size


def fields(data):
    at, row = 0, []
    while at < len(data):
        if data[at] == 0xFB:
            row.append(None)
            at += 1
            continue
        size, at = number(data, at)
        row.append(data[at:at + size].decode())
        at += size
    return row
