"""A request may wait in the main thread for a thread that never answers: gunicorn's arbiter ends the worker by SIGABRT."""
import os, queue, threading, time

questions = queue.Queue()


def work():
    while True:
        answer, what = questions.get()
        if what != "/stuck": answer.put(what)


threads = []


def app(environ, start_response):
    if not threads:  # after the fork
        threads.extend(threading.Thread(target=work, daemon=True) for _ in range(4))
        for t in threads: t.start()
    answer = queue.Queue()
    questions.put((answer, environ["PATH_INFO"]))
    body = f"{answer.get()} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
