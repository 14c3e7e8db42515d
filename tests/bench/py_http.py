"""ThreadingHTTPServer with keep-alive, a short answer. Prints "port N" and runs until killed."""
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = b"Hello from a thread of its own.\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 4096
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
