"""A Flask application for threaded servers: what belongs to a request or a thread must stay there while others wait and run."""
import concurrent.futures, contextvars, hashlib, os, threading, time

import flask
import sqlalchemy
from sqlalchemy.orm import declarative_base, scoped_session, sessionmaker

app = flask.Flask("web")
app.secret_key = b"vtshim"
local, variable = threading.local(), contextvars.ContextVar("token")
executor = concurrent.futures.ThreadPoolExecutor(6)
engine = sqlalchemy.create_engine("sqlite:///" + os.environ["WEB_DATABASE"], poolclass=sqlalchemy.pool.QueuePool, pool_size=3, max_overflow=2,
                                  pool_timeout=60, connect_args={"check_same_thread": False, "timeout": 60})
Base = declarative_base()
Session = scoped_session(sessionmaker(bind=engine))


class Entry(Base):
    __tablename__ = "entry"
    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    who = sqlalchemy.Column(sqlalchemy.Integer)
    what = sqlalchemy.Column(sqlalchemy.String)


@app.before_request
def mark():
    token = flask.request.args.get("token", "")
    flask.g.token = local.token = token
    variable.set(token)


@app.teardown_request
def remove(error):
    Session.remove()


@app.get("/context")
def context():
    """Waits in several ways, and looks each time whether all is this request's still."""
    token = flask.request.args["token"]
    for wait in (lambda: time.sleep(0.001), lambda: executor.submit(time.sleep, 0).result(), lambda: threading.Event().wait(0.001)):
        wait()
        seen = (flask.g.token, local.token, variable.get(), flask.request.args["token"])
        assert seen == (token,) * 4, seen
    return f"{token} {os.getpid()} {threading.get_ident()}"


@app.post("/upload")
def upload():
    """Echoes what each file's contents hash to (those of more than 500 KB are in temporary files)."""
    return {name: [file.filename, hashlib.sha256(file.read()).hexdigest()] for name, file in flask.request.files.items()}


@app.post("/echo")
def echo():
    return flask.request.get_data(), 200, {"X-Length": str(flask.request.content_length)}


@app.get("/stream/<int:size>")
def stream(size):
    """In pieces, with the request's context; the waits between them let other threads run."""
    def pieces():
        for sent in range(0, size, 3000):
            time.sleep(0.0005)
            yield hashlib.shake_128(f"{flask.g.token}-{sent}".encode()).digest(min(3000, size - sent))
    return flask.Response(flask.stream_with_context(pieces()), mimetype="application/octet-stream")


@app.get("/session")
def session():
    flask.session["count"] = flask.session.get("count", 0) + 1
    return f"{flask.session['count']}"


@app.get("/rows/<int:who>/<what>")
def rows(who, what):
    """A row more, and all of this client's, by a connection of the pool."""
    Session.add(Entry(who=who, what=what))
    Session.commit()
    return " ".join(e.what for e in Session.query(Entry).filter_by(who=who).order_by(Entry.id))


@app.get("/fails")
def fails():
    raise ValueError("meant to")


@app.get("/slow/<int:ms>")
def slow(ms):
    time.sleep(ms / 1000)
    return "done"


app.config["PROPAGATE_EXCEPTIONS"] = False
