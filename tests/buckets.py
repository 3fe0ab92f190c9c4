"""A server with the interface of S3, which tests start, and a bucket in it."""

import threading
from collections import Counter
from contextlib import contextmanager

import boto3
import fsspec
from moto.server import create_backend_app
from werkzeug.serving import make_server

from passband.io import storage


class Failing:
    """A server in front of another one, which answers some requests with an error first."""

    def __init__(self, server):
        self.server, self.failures, self.asked = server, {}, Counter()

    def __call__(self, environ, start):
        key = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        self.asked[key] += 1
        if self.failures.get(key, 0) > 0:
            self.failures[key] -= 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"]
        return self.server(environ, start)


@contextmanager
def s3_server():
    """A server with the interface of S3; its address, and the failures that it will have."""
    app = Failing(create_backend_app("s3"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", app
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def s3_bucket(server, monkeypatch, name):
    """A new bucket, as the client to look at it."""
    address, app = server
    app.failures.clear()
    app.asked.clear()
    for key, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", address),
        ("AWS_MAX_ATTEMPTS", "1"),  # the requests are repeated by passband, not by the client
    ):
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(storage, "PAUSE", 0.001)
    kind = fsspec.get_filesystem_class("s3")
    kind.clear_instance_cache()
    monkeypatch.setattr(kind, "retries", 1)
    client = boto3.client("s3", endpoint_url=address)
    name = f"b{abs(hash(name)) % 10**9}"
    client.create_bucket(Bucket=name)
    client.name = name
    yield client
    client.close()
