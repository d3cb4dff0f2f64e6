"""OAuth as values: tokens, requests, answers and the grants between them. Nothing here waits or looks at a clock."""

from linkauth.oauth.exchange import Flow, Request, Response

__all__ = ["Flow", "Request", "Response"]
