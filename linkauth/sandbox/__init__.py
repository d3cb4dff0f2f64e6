"""The vendors on loopback, as strict as their documents, for tests, demos and trying things out.

In a test, in the test's own loop::

    async with Sandbox(linkxg={"token_lifetime": 2}) as sandbox:
        credential = engine.credential(sandbox.linkxg.vendor())
        ada = await sandbox.linkkit.connect(engine, "ada")      # sent to Linkkit, and back with her consent
        sandbox.linkxg.fault("token", status=500, times=3)      # the next three requests; see ``Fault``
        with sandbox.linkxg.hold("token") as held:              # answer nobody until the block ends
            task = asyncio.create_task(credential.token())
            await held.arrived()
        sandbox.advance(900)                                    # no sleeping
        callback = sandbox.linkkit.consent(url)                 # be the user: callback.params, callback.url
        callback = sandbox.sagex3.consent(url, folders=["SEED"])
        assert sandbox.linkxg.counts["tokens"] == 1

The vendors are ``linkxg``, ``linkkit``, ``sagex3`` and ``oauth2``; each has ``base_url``, ``client_id``,
``client_secret``, ``vendor()`` (the class's object with all of these), ``settings`` (the class ``Settings`` in its file says which), ``counts``, ``fault``, ``hold``, ``faults.clear()``
and ``tokens.revoke_access()``. ``linkxg.email`` and ``linkxg.password`` log in; ``linkxg.add_client`` and ``add_user`` make more.
``linkxg.settings.tier`` is its subscription: calls of the API a minute and a day (``ENTERPRISE`` unless set).
``elsewhere.base_url`` is another origin that counts what credentials reach it.

``counts`` has ``requests``, ``ENDPOINT_requests``, ``ENDPOINT_at_once`` (the most at the same time), ``status_NNN``,
``dropped``, ``api_calls``, ``tokens`` (access tokens issued), the grants (``client_credentials``, ``authorization_code``,
``refresh_token``, ``password``), ``refresh_reuse``, ``code_reuse``, ``replays``, ``rotations``, ``logouts``,
``revocations``, ``accepted``, ``refused`` or ``rejected``, and ``pairings``.

As a program: ``linkauth sandbox`` or ``python -m linkauth.sandbox``; with ``--port 0 --json`` its first line tells a
parent process where all is. Other processes read ``GET /counters`` and send orders to ``POST /_control``
(``control.apply``).
"""

from linkauth.sandbox.clock import Clock
from linkauth.sandbox.consent import Callback
from linkauth.sandbox.faults import Fault
from linkauth.sandbox.program import describe, serve, summary
from linkauth.sandbox.server import Sandbox

__all__ = ["Callback", "Clock", "Fault", "Sandbox", "describe", "serve", "summary"]
