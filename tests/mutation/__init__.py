"""Mutation testing of ``linkauth/engine``, on demand: see README.md beside this."""
