"""Mutation testing of ``linkauth/protocol`` and ``linkauth/engine``, on demand: see README.md beside this."""
