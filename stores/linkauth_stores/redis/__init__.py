"""A store on Redis or Valkey, for any number of hosts. See ``RedisStore``."""

from linkauth_stores.redis.store import RedisStore, from_url

__all__ = ["RedisStore", "from_url"]
