"""Puts the simulator together: one Flask app for Meta, backend, control and page, and the servers that carry it."""

from __future__ import annotations

from flask import Flask

from simulator import (
    account_api,
    appointments_api,
    cloud_api,
    control,
    control_world,
    page,
    seguimiento_api,
    seguimiento_control,
)
from simulator.options import Options
from simulator.server import IDLE_S, Server
from simulator.world import World

SEGUIMIENTO_IDLE_S = 5.0  # Node's keep-alive


def create_app(world: World) -> Flask:
    """Return the app with everything: Graph API at the root, /backend, /control and the page at /."""
    app = Flask("simulator", static_folder=None)
    app.register_blueprint(page.create_blueprint(world))
    app.register_blueprint(control.create_blueprint(world), url_prefix="/control")
    app.register_blueprint(control_world.create_blueprint(world), url_prefix="/control")
    app.register_blueprint(appointments_api.create_blueprint(world), url_prefix="/backend")
    app.register_blueprint(seguimiento_api.create_blueprint(world), url_prefix="/seguimiento")
    app.register_blueprint(account_api.create_control(world), url_prefix="/control")
    app.register_blueprint(seguimiento_control.create_blueprint(world), url_prefix="/control/seguimiento")
    app.register_blueprint(cloud_api.create_blueprint(world))
    app.register_blueprint(account_api.create_blueprint(world))
    return app


def create_backend_app(world: World) -> Flask:
    """Return an app with one appointments backend alone, at the root: the one that the options name."""
    app = Flask("simulator-backend", static_folder=None)
    api = seguimiento_api if world.options.backend == "seguimiento" else appointments_api
    app.register_blueprint(api.create_blueprint(world, "backend_at_root"))
    return app


class Simulator:
    """A running simulator. Tests start it in their own process: `with Simulator(Options(port=0)) as sim: sim.url`."""

    def __init__(self, options: Options) -> None:
        self.world = World(options)
        try:
            self._server = Server(options.host, options.port, create_app(self.world))
            self._backend: Server | None = None
            if options.backend_port is not None:
                idle_s = SEGUIMIENTO_IDLE_S if options.backend == "seguimiento" else IDLE_S
                self._backend = Server(options.host, options.backend_port, create_backend_app(self.world), idle_s)
        except BaseException:
            self.world.close()
            raise

    @property
    def url(self) -> str:
        """Where the page and the Graph API are, without a final slash."""
        return self._server.url

    @property
    def backend_url(self) -> str:
        """Where the appointments backend is, without a final slash."""
        mount = "seguimiento" if self.world.options.backend == "seguimiento" else "backend"
        return self._backend.url if self._backend else f"{self.url}/{mount}"

    def stop(self) -> None:
        """End servers and threads."""
        self.world.changes.close()  # streams and long polls end first, so that their connections can be closed
        self._server.stop()
        if self._backend is not None:
            self._backend.stop()
        self.world.close()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
