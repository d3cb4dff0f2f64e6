"""What ``RedisStore`` does to a credential, each in one atomic script.

A credential has two hashes, and a third for a moment, in one slot of a cluster because their names share the tag in
braces:

==================== ================================================================================================
``PREFIX:{KEY}``       the record: ``version``, ``value``. Expires where the commit said so.
``PREFIX:{KEY}:lease`` ``top``: the highest number ever given, ``gone``: the highest under which the record was deleted
                     or taken, ``note``, and while a lease has not been given back ``owner``, ``number``, ``until``
                     (ms, the server's clock), ``before`` (the note that the claim found), ``inherited`` and
                     ``span`` (its number, a colon, and for how many ms it was claimed or extended last). Never
                     expires, except beside a record that does.
``PREFIX:{KEY}:taken`` a record that was just taken, and ``by`` whom. Gone when whoever took it has given up asking again.
==================== ================================================================================================

The lease is data with an end rather than a key with a time to live: who claims after it must see that it ended without
a release. ``top`` and ``gone`` are not in the record, so that numbers go on growing after it, and nothing comes back.
``before`` and ``inherited`` let a repeated claim, whose first answer was lost, answer as the first one did. ``span`` keeps
a lease from outlasting itself where the server's clock was set back; an earlier linkauth neither writes nor removes it, hence
the number in it, and its leases have ten minutes left at the most.

Every answer begins with a word, the server's TIME (seconds, microseconds), and the version, value and note found.
Numbers stay below 2**53; ``text`` keeps Lua from writing large ones as 1e+15. What is not written as here is not
interpreted (``corrupt``), and so is a value above 16 MiB or a note above 64 KiB: a worker that reads one must not choke.
The scripts use nothing that Redis 6.2 lacks.
"""

from __future__ import annotations

from hashlib import sha1

import attrs

__all__ = ["CLAIM", "COMMIT", "DELETE", "EXTEND", "READ", "RELEASE", "TAKE", "Script"]

_FIND = """
local record, lease = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local r = redis.call('HMGET', record, 'version', 'value')
local l = redis.call('HMGET', lease, 'top', 'owner', 'number', 'until', 'note', 'before', 'inherited', 'gone',
                     'span')
local function digits(s)  -- nil for what is written otherwise than here: tonumber takes 0x10, 1e5 and nan, too
    if not s then return 0 end
    if #s <= 16 and string.find(s, '^%d+$') then return tonumber(s) end
end
local version, top, owner, number, ends = digits(r[1]), digits(l[1]), l[2], digits(l[3]), digits(l[4])
local inherited, gone = digits(l[7]), digits(l[8])
if not (version and top and number and ends and inherited and gone) or not r[1] ~= not r[2]
   or #(r[2] or '') > 16777216 or #(l[5] or '') > 65536 then
    return {'corrupt', time[1], time[2]}
end
local held = owner and ends > now

local function text(n) return string.format('%.0f', n) end
local function last(n, ms)  -- lease n ends in so many ms
    redis.call('HSET', lease, 'until', text(now + ms), 'span', text(n) .. ':' .. text(ms))
end
local function longest()  -- ms that the lease may have left
    local of, ms = string.match(l[9] or '', '^(%d+):(%d+)$')
    return of and of == l[3] and digits(ms) or 600000
end
local function answer(word, ...) return {word, time[1], time[2], r[1], r[2], l[5], ...} end
local function settle(mine)  -- another lease that was not given back stays, and its note
    if owner and number ~= mine then return end
    redis.call('HDEL', lease, 'owner', 'number', 'until', 'before', 'inherited', 'note', 'span')
    held = false
end
local function tell(channel, key, v)  -- who may not publish: others poll
    redis.pcall('PUBLISH', channel, text(v) .. ' ' .. key)
end
local function outlive(ms)  -- a lease hash that expires stays for an hour after everything in it
    local left = redis.call('PTTL', lease)
    if left >= 0 and left < ms + 3600000 then redis.call('PEXPIRE', lease, text(ms + 3600000)) end
end
"""


@attrs.frozen
class Script:
    """A Lua script and the SHA-1 under which the server knows it once it has seen it."""

    text: str
    sha: str
    keys: int
    says: dict[bytes, list[type]]
    """Its answers' first words, and what comes after time, version, value and note."""


def _script(body: str, keys: int = 2, **says: list[type]) -> Script:
    text = _FIND + body
    sha = sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(text, sha, keys, {word.encode(): more for word, more in says.items()})


READ = _script(
    """
return answer('read', held and ends - now or 0)
""",
    read=[int],
)

# ARGV: owner, ttl (ms), newer_than, note
CLAIM = _script(
    """
local who, ttl, known, note = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if version > known then return answer('newer') end
if held and ends - now > longest() then  -- the clock was set back
    ends = now + longest()
    last(number, longest())
end
if owner == who and number > known then  -- a repeat: answer as the first time
    if ends < now + ttl then last(number, ttl) end
    redis.call('HSET', lease, 'note', note)
    outlive(ttl)
    l[5] = l[6]
    return answer('granted', number, inherited)
end
if held then return answer('busy', owner, ends - now, number) end
inherited = owner and 1 or 0
number = math.max(top, known, version) + 1
redis.call('HSET', lease, 'top', text(number), 'owner', who, 'number', text(number), 'note', note,
           'before', l[5] or '', 'inherited', inherited)
last(number, ttl)
outlive(ttl)
return answer('granted', number, inherited)
""",
    newer=[],
    granted=[int, int],
    busy=[bytes, int, int],
)

# ARGV: number, value, ttl (ms, 0: never expires), channel, key
COMMIT = _script(
    """
local mine, value, ttl = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if version > mine or gone >= mine then return answer('superseded') end
if r[1] and version == mine then  -- a repeat, or not
    if r[2] ~= value then return answer('superseded') end
    redis.call('HSET', lease, 'top', text(math.max(top, mine)))  -- as it was: WAIT counts what its connection wrote
    return answer('committed')
end
redis.call('HSET', record, 'version', text(mine), 'value', value)
redis.call('HSET', lease, 'top', text(math.max(top, mine)))
settle(mine)
if ttl > 0 then
    redis.call('PEXPIRE', record, text(ttl))
    redis.call('PEXPIRE', lease, text(math.max(ttl, held and ends - now or 0) + 3600000))
else
    redis.call('PERSIST', record)
    redis.call('PERSIST', lease)
end
tell(ARGV[4], ARGV[5], mine)
return answer('committed')
""",
    committed=[],
    superseded=[],
)

# ARGV: number, ttl (ms)
EXTEND = _script(
    """
if not held or number ~= tonumber(ARGV[1]) then return answer('no') end
last(number, tonumber(ARGV[2]))
outlive(tonumber(ARGV[2]))
return answer('yes')
""",
    yes=[],
    no=[],
)

# ARGV: number, note, channel, key
RELEASE = _script(
    """
if not held or number ~= tonumber(ARGV[1]) then return answer('no') end
settle(number)
if ARGV[2] ~= '' then redis.call('HSET', lease, 'note', ARGV[2]) end
tell(ARGV[3], ARGV[4], version)
return answer('yes')
""",
    yes=[],
    no=[],
)

# KEYS[3]: what was taken. ARGV: who takes, for how long they may ask again (ms), channel, key
TAKE = _script(
    """
local taken = KEYS[3]
local t = redis.call('HMGET', taken, 'version', 'value', 'by')
if t[3] == ARGV[1] then  -- a repeat: answer as the first time
    r = t
elseif r[1] then
    redis.call('RENAME', record, taken)
    redis.call('HSET', taken, 'by', ARGV[1])
    redis.call('PEXPIRE', taken, ARGV[2])
    redis.call('HSET', lease, 'gone', text(math.max(gone, version)), 'top', text(math.max(top, version)))
    tell(ARGV[3], ARGV[4], 0)
end
return answer('read', held and ends - now or 0)
""",
    keys=3,
    read=[int],
)

# ARGV: number, channel, key
DELETE = _script(
    """
local mine = tonumber(ARGV[1])
if version >= mine then return answer('no') end
redis.call('DEL', record)
redis.call('HSET', lease, 'top', text(math.max(top, mine)), 'gone', text(math.max(gone, mine)))
settle(mine)
tell(ARGV[2], ARGV[3], 0)
return answer('yes')
""",
    yes=[],
    no=[],
)
