"""The renewal engine. It waits and it keeps time, but it opens no socket: what it needs of the world is handed to it."""
