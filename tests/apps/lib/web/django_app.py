"""A Django application in one file, with SQLite, or PostgreSQL where WEB_POSTGRES names its socket's folder: connections belong to threads."""
import hashlib, os, threading, time

import django
from django.conf import settings

HERE = os.environ["WEB_FOLDER"]
if "WEB_POSTGRES" in os.environ:
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": os.environ["WEB_POSTGRES"], "CONN_MAX_AGE": 60}
else:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": HERE + "/django.db", "OPTIONS": {"timeout": 60}, "CONN_MAX_AGE": 60}
settings.configure(SECRET_KEY="vtshim", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DATABASES={"default": database}, USE_TZ=True,
                   INSTALLED_APPS=["django.contrib.sessions"], SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
                   FILE_UPLOAD_MAX_MEMORY_SIZE=50000, FILE_UPLOAD_TEMP_DIR=HERE, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
                   MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
                               "django.middleware.gzip.GZipMiddleware"])
django.setup()

from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, models, transaction
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils import translation


class Counter(models.Model):
    name = models.CharField(max_length=20, unique=True)
    n = models.IntegerField(default=0)

    class Meta: app_label = "web"


def create():
    with connection.schema_editor() as editor: editor.create_model(Counter)
    for name in ("all", *map(str, range(50))): Counter.objects.create(name=name)
    if "WEB_POSTGRES" not in os.environ: connection.cursor().execute("PRAGMA journal_mode=WAL")
    connection.close()


lock, users = threading.Lock(), {}


def count(request, name):
    """Adds one to two counters in a transaction. No two threads have one connection."""
    me = threading.get_ident()
    with transaction.atomic():
        with lock: assert users.setdefault(id(connection.connection), me) == me
        Counter.objects.filter(name="all").update(n=models.F("n") + 1)
        time.sleep(0.0005)
        Counter.objects.filter(name=name).update(n=models.F("n") + 1)
        n = Counter.objects.get(name=name).n
        with lock: assert users.pop(id(connection.connection)) == me
    return HttpResponse(f"{n}")


def language(request, code):
    """Django keeps the active language per thread."""
    with translation.override(code):
        time.sleep(0.001)
        assert translation.get_language() == code
    return HttpResponse(code)


def session(request):
    request.session["count"] = n = request.session.get("count", 0) + 1
    return HttpResponse(f"{n}")


def upload(request):
    return JsonResponse({n: [f.name, hashlib.sha256(b"".join(f.chunks())).hexdigest()] for n, f in request.FILES.items()})


def stream(request, size):
    def pieces():
        for sent in range(0, size, 3000):
            time.sleep(0.0005)
            yield hashlib.shake_128(f"{request.GET['token']}-{sent}".encode()).digest(min(3000, size - sent))
    return StreamingHttpResponse(pieces(), content_type="application/octet-stream")


def file(request):
    return FileResponse(open(__file__, "rb"))


def total(request):
    return HttpResponse(f"{Counter.objects.get(name='all').n}")


urlpatterns = [path("count/<name>", count), path("language/<code>", language), path("session", session), path("upload", upload),
               path("stream/<int:size>", stream), path("file", file), path("total", total)]
app = WSGIHandler()
