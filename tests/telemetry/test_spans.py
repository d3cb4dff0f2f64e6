"""What a trace shows: that a slow request waited for a token, and what the vendor was asked meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from linkauth import AuthEngine
from linkauth.errors import VendorUnavailable


async def test_a_renewal_is_a_span_with_its_request_below_it(seen, sandbox, linkxg):
    """Both are in the trace of who wanted the token, though the renewal is a task of its own; the span of the wait is there too."""
    tracer = seen.tracers.get_tracer("app")
    async with AuthEngine() as engine:
        with tracer.start_as_current_span("page") as page:
            await seen.instrument(engine).credential(linkxg, "ada").token()
    spans = {span.name: span for span in seen.spans()}
    renewal, request, wait = spans["renew linkxg"], spans["POST"], spans["wait linkxg"]
    assert renewal.parent.span_id == wait.parent.span_id == page.get_span_context().span_id
    assert request.parent.span_id == renewal.context.span_id
    assert renewal.start_time <= request.start_time <= request.end_time <= renewal.end_time
    assert renewal.attributes == {"linkauth.vendor": "linkxg", "linkauth.account": "ada"}
    assert request.kind is SpanKind.CLIENT
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["server.address"] == "127.0.0.1"


async def test_who_shares_a_renewal_sees_the_wait(seen, sandbox, linkxg):
    """The second caller's trace has a span of its wait, and no second renewal."""
    tracer = seen.tracers.get_tracer("app")

    async def page(name):
        with tracer.start_as_current_span(name) as span:
            await credential.token()
        return span.get_span_context().span_id

    async with AuthEngine() as engine:
        credential = seen.instrument(engine).credential(linkxg)
        with sandbox.linkxg.hold("token") as held:
            pages = [asyncio.create_task(page("one")), asyncio.create_task(page("two"))]
            await held.arrived()
        ids = await asyncio.gather(*pages)
    assert {span.parent.span_id for span in seen.spans() if span.name == "wait linkxg"} == set(ids)
    assert [span.name for span in seen.spans()].count("renew linkxg") == 1


async def test_a_failure_is_told_by_its_class_alone(seen, sandbox, linkxg):
    """Each try is a span with its status; the renewal's has the error's class, and no traceback or message."""
    sandbox.linkxg.fault("token", status=503, times=None)
    async with AuthEngine(timeout=1.5) as engine:
        with pytest.raises(VendorUnavailable) as raised:  # NotSent, where there was no time left for one more try
            await seen.instrument(engine).credential(linkxg).token()
    renewals = [span for span in seen.spans() if span.name == "renew linkxg"]
    requests = [span for span in seen.spans() if span.name == "POST"]
    assert renewals[0].status.status_code is StatusCode.ERROR
    assert renewals[0].attributes["error.type"] == raised.type.__name__
    assert not renewals[0].events
    assert [span.attributes.get("http.request.resend_count", 0) for span in requests] == list(range(len(requests)))
    assert {span.attributes["error.type"] for span in requests} == {"503"}
