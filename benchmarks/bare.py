"""The baseline of the ack: a Flask route that reads the body and answers 200, under the webhook's gunicorn settings."""

from __future__ import annotations

from types import SimpleNamespace

from flask import Flask, Response, request


def create_app() -> Flask:
    app = Flask("bare", static_folder=None)
    app.extensions["ops_streams"] = SimpleNamespace()  # gunicorn.conf.py tells the webhook's page when it ends

    @app.post("/webhook/whatsapp")
    def receive() -> Response:
        request.get_data(cache=False)
        return Response(status=200)

    return app
