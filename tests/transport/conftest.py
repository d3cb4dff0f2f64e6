"""Certificates: an authority of our own, and a server that it vouches for."""

from __future__ import annotations

import ssl

import pytest

from tests.servers import certificates

VENDOR = "vendor.example"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """With ``ca.pem``, and ``cert.pem`` and ``key.pem`` for vendor.example and 127.0.0.1."""
    return certificates(tmp_path_factory.mktemp("certificates"), VENDOR)


@pytest.fixture
def serving(folder):
    """A server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.fixture
def trusting(folder):
    """A client's context that believes our authority alone."""
    return ssl.create_default_context(cafile=folder / "ca.pem")
