"""serve.py SERVER PORT: one of the servers that run in the program's own process."""
import sys

server, port = sys.argv[1], int(sys.argv[2])
if server == "waitress":
    import django_app, waitress
    django_app.create()
    waitress.serve(django_app.app, host="127.0.0.1", port=port, threads=8, connection_limit=200)
elif server == "cherrypy":
    import cherrypy, flask_app
    cherrypy.tree.graft(flask_app.app, "/")
    cherrypy.config.update({"server.socket_host": "127.0.0.1", "server.socket_port": port, "server.thread_pool": 8, "log.screen": False,
                            "engine.autoreload.on": False, "server.shutdown_timeout": 10})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.subscribe("stop", flask_app.executor.shutdown)  # it waits for all threads that are no daemons
    cherrypy.engine.start()
    cherrypy.engine.block()
elif server == "werkzeug":
    import flask_app
    flask_app.app.run("127.0.0.1", port, threaded=True)
print("served", flush=True)
