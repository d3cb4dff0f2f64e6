"""From a URL to redis-py clients with time-outs, retries and pools of our own setting.

=============================================== ==========================================================
``redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]``     one server; ``rediss://`` over TLS
``unix://[[USER]:PASSWORD@]/PATH[?db=DB]``         one server on a Unix socket
``redis+sentinel://[…@]HOST:PORT,…/SERVICE[/DB]`` the master that Sentinels name (default port 26379)
``redis+cluster://[…@]HOST:PORT,…``                a cluster; any of its nodes
=============================================== ==========================================================
"""

from __future__ import annotations

import math
import socket
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs
import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Client", "Settings", "checked", "listener", "parse", "place"]

_OWN = {"prefix": str, "min_replicas": int, "timeout": float}
_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}
"""A subscription that the network dropped in silence is noticed within five seconds, and within two where its address now
leads to another server: before somebody who waits for what this worker holds has waited in vain. The kernel's probes
cost the server nothing."""


def _quiet(maker: Callable[..., Any]) -> dict[str, Any]:
    """What keeps ``maker``'s connections from saying more at their start than they must; it differs between releases.

    No CLIENT SETINFO: to learn its own version redis-py would read files in the loop. No CLIENT MAINT_NOTIFICATIONS
    (redis-py 8): a round trip for each connection, for time-outs that are the store's own here.
    """
    known = set(signature(maker).parameters)
    itself = {"driver_info"} & known or {"lib_name", "lib_version"} & known
    return dict.fromkeys(itself) | {
        name: import_module("redis.maint_notifications").MaintNotificationsConfig(enabled=False)
        for name in {"maint_notifications_config"} & known
    }


_BOOL = {"true": True, "1": True, "false": False, "0": False}


class Client(Protocol):
    """The few methods of redis-py's clients that the store uses."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> list[Any]: ...
    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> list[Any]: ...
    def pipeline(self, *, transaction: bool) -> Any: ...
    def pubsub(self) -> Any: ...
    def get_encoder(self) -> Any: ...
    async def aclose(self) -> None: ...


@attrs.frozen(kw_only=True)
class Settings:
    """Where the server is and how to get in. Shows none of it in ``repr``."""

    scheme: str
    hosts: tuple[tuple[str, int], ...] = attrs.field(repr=False)
    path: str = attrs.field(default="", repr=False)
    service: str = attrs.field(default="", repr=False)
    login: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    sentinel_login: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    @property
    def cluster(self) -> bool:
        """Whether keys are spread over several servers."""
        return self.scheme == "redis+cluster"

    @property
    def where(self) -> str:
        """Where the server is, for errors: nothing of a login."""
        hosts = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        if self.service:
            return f"{self.service}, by Sentinels at {hosts}"
        return self.path or hosts

    def client(self, timeout: float, connections: int) -> Client:
        """A client for the running loop, that gives up after ``timeout`` seconds and repeats nothing by itself."""
        # No socket_timeout where one server is asked: the store's own covers the call, and theirs costs a task each.
        patience: dict[str, Any] = {"socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
        patience |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
        if not self.cluster:
            patience |= _quiet(aioredis.Redis)
        several = {**patience, "socket_timeout": timeout / 2}
        limit: dict[str, Any] = {"max_connections": connections}
        if self.cluster:
            # Its retries follow a slot that moved, or a node that was replaced; the store's time-out bounds them.
            del several["retry"]
            nodes = [ClusterNode(host, port) for host, port in self.hosts]
            several |= _quiet(aioredis.RedisCluster)
            spread = cast("Any", _Spread)(startup_nodes=nodes, **limit, **several, **self.login)
            spread.commands_parser = _Unasked()
            return cast("Client", spread)
        if self.scheme == "redis+sentinel":
            ask = {**several, **self.sentinel_login}
            watchers = cast("Callable[..., Any]", Sentinel)(self.hosts, sentinel_kwargs=ask, **patience, **self.login)
            return cast("Client", watchers.master_for(self.service, redis_class=_Watched, **limit))
        place: dict[str, Any] = {"unix_socket_path": self.path}
        if not self.path:
            place = {"host": self.hosts[0][0], "port": self.hosts[0][1]}
        return cast("Client", aioredis.Redis(**place, **limit, **patience, **self.login))


class _Watched(aioredis.Redis):
    """A client whose server Sentinels name, and which closes those that ask them: redis-py leaves them open."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001  redis-py's signature
        await super().aclose(close_connection_pool)
        for watcher in cast("Any", self.connection_pool).sentinel_manager.sentinels:
            await watcher.aclose()


class _Spread(aioredis.RedisCluster):
    """A cluster's client that closes what it has: redis-py's leaves all open when a node has just failed it."""

    async def aclose(self) -> None:
        await super().aclose()
        nodes = cast("Any", self.nodes_manager)
        for kind in ("nodes_cache", "startup_nodes"):
            await nodes.aclose(kind)


class _Unasked:
    """Instead of redis-py's knowledge of commands: a script names its keys itself, and every other command here begins with its key.

    redis-py asks for all that the server knows, at the start and after each failure, and to read the answer holds up the
    loop for a tenth of a second.
    """

    async def initialize(self, node: object = None) -> None: ...

    async def get_keys(self, _: str, *args: object) -> list[object]:
        return list(args[:1])


async def listener(client: Client) -> Any:
    """A new pub/sub object on ``client``; in a cluster on one of its nodes, which hear of every PUBLISH."""
    if not isinstance(client, aioredis.RedisCluster):
        return client.pubsub()
    cluster = cast("Any", client)
    await cluster.initialize()
    node = cluster.get_random_node()
    settings = {**node.connection_kwargs, **_quiet(aioredis.ConnectionPool)}
    pool = cast("Any", aioredis.ConnectionPool)(connection_class=node.connection_class, **settings)
    return cast("Any", aioredis.Redis(connection_pool=pool)).pubsub()


def place(client: Any) -> str:
    """Where the server of a client of somebody's own is, empty where that cannot be told."""
    known = getattr(getattr(client, "connection_pool", None), "connection_kwargs", {})
    host, port, path = known.get("host"), known.get("port"), known.get("path")
    return str(path) if path else f"{host}:{port}" if host and port else ""


def parse(url: str) -> tuple[Settings, dict[str, Any]]:
    """The server that ``url`` names, and the store's own arguments in its query.

    Raises ``ConfigurationError``; its message shows no part of the URL but the scheme and an option's name.
    """
    problem = ""
    try:
        return _parse(urlsplit(url))
    except ConfigurationError as error:
        problem = str(error)
    except ValueError:  # its message quotes the port or host
        problem = "the Redis URL cannot be read: look at its host, port, database number and options"
    raise ConfigurationError(problem)


def _parse(parts: SplitResult) -> tuple[Settings, dict[str, Any]]:
    scheme = parts.scheme
    if scheme not in {"redis", "rediss", "unix", "redis+sentinel", "redis+cluster"}:
        raise ConfigurationError(f"RedisStore does not know the scheme {scheme!r}")
    own, login, sentinel_login = _options(parts.query, scheme)
    userinfo, _, netloc = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    login |= {name: unquote(value) for name, value in (("username", user), ("password", password)) if value}
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if parts.fragment or ("@" in parts.path and scheme != "unix"):  # else a part of it would be told as the host
        raise ConfigurationError("the Redis URL's login has to be escaped: / is written %2F, # %23, ? %3F and @ %40")
    if scheme == "unix":
        if netloc or not steps:
            raise ConfigurationError("a unix:// URL needs an absolute path: unix:///run/redis.sock")
        return Settings(scheme=scheme, hosts=(), path=unquote(parts.path), login=login), own
    port = 26379 if scheme == "redis+sentinel" else 6379
    hosts = tuple(_host(place, port) for place in netloc.split(","))
    if len(hosts) > 1 and scheme in {"redis", "rediss"}:
        raise ConfigurationError(f"{scheme}:// takes one host; several go with redis+sentinel:// or redis+cluster://")
    service = ""
    if scheme == "redis+sentinel":
        if not steps:
            raise ConfigurationError("redis+sentinel:// needs the service's name: redis+sentinel://HOST:PORT/SERVICE")
        service = steps.pop(0)
    login |= _database(steps, login, scheme)
    settings = Settings(scheme=scheme, hosts=hosts, service=service, login=login, sentinel_login=sentinel_login)
    return settings, own


def _database(steps: list[str], login: dict[str, Any], scheme: str) -> dict[str, int]:
    if len(steps) > 1:
        raise ConfigurationError("the Redis URL's path is too long: a database number was expected")
    number = int(steps[0]) if steps else login.get("db", 0)
    if number < 0 or (number and scheme == "redis+cluster"):
        raise ConfigurationError("a Redis database is numbered from 0, and a cluster has number 0 only")
    return {"db": number} if number else {}


def _options(query: str, scheme: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    own: dict[str, Any] = {}
    login: dict[str, Any] = {}
    sentinel: dict[str, Any] = {}
    tls = scheme == "rediss"
    for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        if name in _OWN:
            own[name] = _OWN[name](value)
        elif name in _TLS:
            login[name] = value
        elif (name == "protocol" and value in {"2", "3"}) or (name == "db" and scheme == "unix"):
            login[name] = int(value)
        elif name == "ssl" and scheme in {"redis+sentinel", "redis+cluster"}:
            tls = _BOOL[value.lower()] if value.lower() in _BOOL else bool(int(value))
        elif name in {"sentinel_username", "sentinel_password"} and scheme == "redis+sentinel":
            sentinel[name.removeprefix("sentinel_")] = value
        else:
            raise ConfigurationError(f"the Redis URL has an option that {scheme}:// does not know, or not so: {name!r}")
    if tls:
        login |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        sentinel |= {name: value for name, value in login.items() if name.startswith("ssl")}
    elif _TLS & set(login):
        raise ConfigurationError("the Redis URL names certificates, and its scheme does not speak TLS")
    return own, login, sentinel


def _host(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    return parts.hostname or "localhost", parts.port or port


def checked(*, prefix: str, min_replicas: int, timeout: float) -> None:
    """Raise ``ConfigurationError`` for arguments that cannot work."""
    if not prefix or not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{} "):
        raise ConfigurationError("RedisStore: a prefix is printable ASCII without blanks and braces")
    if min_replicas < 0:
        raise ConfigurationError("RedisStore: min_replicas is 0 or more")
    if not (math.isfinite(timeout) and timeout > 0):
        raise ConfigurationError("RedisStore: timeout is a number of seconds above 0")
