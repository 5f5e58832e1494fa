"""A real nginx with deploy/nginx's template on free ports, and a certificate authority made by openssl."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from demo.redis_server import free_port

TEMPLATE = Path(__file__).parents[2] / "deploy" / "nginx" / "templates" / "default.conf.template"
MIME_TYPES = "types { text/html html; text/css css; application/javascript js; }"


def render(name: str = "localhost", n8n_host: str = "n8n.localhost", meta: str = "off") -> str:
    """What the image's envsubst makes of the template."""
    given = {"SERVER_NAME": name, "N8N_HOST": n8n_host, "META_CLIENT_CERTIFICATE": meta}
    return re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], TEMPLATE.read_text(encoding="utf-8"))


class Authority:
    """A test CA. `issue` writes NAME.pem and NAME.key into its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]
        openssl(
            *_new_key(self._key), "-x509", "-days", "2", "-subj", f"/CN={name}", *_add(extensions), "-out", self.file
        )

    def issue(self, name: str, *alternatives: str) -> tuple[Path, Path]:
        """A certificate for `name` and other host names, and its key."""
        request, key, done = (self.folder / f"{name}.{kind}" for kind in ("csr", "key", "pem"))
        hosts = ",".join(f"DNS:{host}" for host in (name, *alternatives))
        openssl(*_new_key(key), "-subj", f"/O=Test/CN={name}", *_add([f"subjectAltName={hosts}"]), "-out", request)
        sign = ["x509", "-req", "-days", "2", "-in", request, "-CA", self.file, "-CAkey", self._key, "-CAcreateserial"]
        openssl(*sign, "-copy_extensions", "copy", "-out", done)
        return done, key


def _new_key(key: Path) -> list[str | Path]:
    return ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]


def _add(extensions: list[str]) -> list[str]:
    return [word for extension in extensions for word in ("-addext", extension)]


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Nginx:
    """One server. `webhook`, `flower`, `n8n` are host:port of what lies behind; the template's own names otherwise."""

    def __init__(self, folder: Path, authority: Authority, *, meta: str = "off", **behind: str) -> None:
        self.folder, self.authority = folder, authority
        self.http, self.https, self.inside = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("certificates", "acme", "cache", "logs"):
            (folder / name).mkdir(parents=True)
        certificate, key = authority.issue("localhost", "n8n.localhost")
        shutil.copy(certificate, folder / "certificates" / "fullchain.pem")
        shutil.copy(key, folder / "certificates" / "privkey.pem")
        shutil.copy(authority.file, folder / "certificates" / "client-ca.pem")
        site = render(meta=meta)
        for before, after in {
            "listen 80": f"listen 127.0.0.1:{self.http}",
            "listen 443": f"listen 127.0.0.1:{self.https}",
            "127.0.0.1:8081": f"127.0.0.1:{self.inside}",
            "/var/www/acme": str(folder / "acme"),
            "/var/cache/nginx": str(folder / "cache"),
            "/var/log/nginx": str(folder / "logs"),
        }.items():
            site = site.replace(before, after)
        for name, address in behind.items():
            site = re.sub(rf"default {name}:\d+;", f"default {address};", site)
        user = "user root;" if os.geteuid() == 0 else ""  # else its workers may not read the test's folder
        error_log = f"error_log {folder / 'logs' / 'error.log'};"
        head = f"{user} worker_processes 1; daemon off; pid {folder / 'pid'}; {error_log} events {{}}"
        self.conf = folder / "nginx.conf"
        self.conf.write_text(f"{head}\nhttp {{\n{MIME_TYPES}\n{site}\n}}\n", encoding="utf-8")

    def check(self) -> str:
        """What `nginx -t` says of the configuration."""
        done = subprocess.run(self._command("-t"), capture_output=True, text=True, timeout=30, check=False)
        return done.stderr

    def start(self) -> Nginx:
        with (self.folder / "logs" / "start.log").open("wb") as log:
            self.process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.https)) == 0:
                    return self
            time.sleep(0.02)
        self.stop()
        raise RuntimeError((self.folder / "logs" / "start.log").read_text())

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=10)

    def log(self) -> str:
        return "".join(file.read_text() for file in (self.folder / "logs").glob("*.log"))

    def _command(self, *arguments: str) -> list[str]:
        return ["nginx", "-p", str(self.folder), "-c", str(self.conf), *arguments]
