"""django-oauth-toolkit as a process: ``python server.py FOLDER``. Its first line tells where all is.

Nothing in here is linkauth's: Django, its login page, the toolkit's own views, and one resource that wants a token.
"""

from __future__ import annotations

import json
import socketserver
import sys
from pathlib import Path
from wsgiref import simple_server

import django
from django.conf import settings

SECRET = "a secret: 100%+ & æ"  # all that RFC 6749 §2.3.1's form-encoding is there for
USER = {"username": "ada", "password": "correct horse"}
LOGIN = '<form method="post">{% csrf_token %}{{ form }}<button>Log in</button></form>'


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class Handler(simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def configure(folder: Path, url: str) -> None:
    apps = ["auth", "contenttypes", "sessions"]
    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    processors = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]
    loaders = [
        ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN}),
        "django.template.loaders.app_directories.Loader",
    ]
    settings.configure(
        SECRET_KEY="only for tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "oauth2_provider"],
        MIDDLEWARE=middleware,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": loaders, "context_processors": processors},
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "db.sqlite3",
                "OPTIONS": {"timeout": 30},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIGRATION_MODULES=dict.fromkeys([*apps, "oauth2_provider"]),  # tables at once, not by their history
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        OAUTH2_PROVIDER={
            "SCOPES": {"read": "Read", "write": "Write"},
            "PKCE_REQUIRED": True,
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
            "OIDC_ISS_ENDPOINT": f"{url}/o",
            "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
            "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
        },
    )
    django.setup()


def populate(url: str) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_user(**USER)
    kinds = {
        "machine": (Application.CLIENT_CONFIDENTIAL, Application.GRANT_CLIENT_CREDENTIALS),
        "web app": (Application.CLIENT_CONFIDENTIAL, Application.GRANT_AUTHORIZATION_CODE),
        "public": (Application.CLIENT_PUBLIC, Application.GRANT_AUTHORIZATION_CODE),
    }
    for name, (kind, grant) in kinds.items():
        Application.objects.create(
            name=name,
            client_id=name,
            client_secret=SECRET,
            client_type=kind,
            authorization_grant_type=grant,
            redirect_uris=f"{url}/callback",
        )


def patterns() -> list[object]:
    from django.contrib.auth.views import LoginView
    from django.http import HttpResponse, JsonResponse
    from django.urls import include, path
    from oauth2_provider.models import AccessToken
    from oauth2_provider.oauth2_backends import get_oauthlib_core
    from oauth2_provider.urls import metadata_urlpatterns

    def me(request: object) -> JsonResponse:
        valid, found = get_oauthlib_core().verify_request(request, scopes=["read"])
        if not valid:
            return JsonResponse({"error": "invalid_token"}, status=401)
        return JsonResponse({"user": found.user and found.user.username, "scope": found.access_token.scope})

    def forget(request: object) -> JsonResponse:
        """What a vendor's incident looks like: every access token gone, the refresh tokens left."""
        return JsonResponse({"expired": AccessToken.objects.update(expires="2000-01-01T00:00:00Z")})

    return [
        path("accounts/login/", LoginView.as_view()),
        path("callback", lambda request: HttpResponse("the app's own page")),
        path("api/me", me),
        path("forget", forget),
        # RFC 8414 §3.1: between the host and the issuer's path.
        path("", include((metadata_urlpatterns, "metadata"))),
        path("o/", include("oauth2_provider.urls")),
    ]


urlpatterns: list[object] = []
"""Filled once Django is up."""


def main() -> None:
    server = Server(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    configure(Path(sys.argv[1]), url)
    populate(url)
    from django.core.wsgi import get_wsgi_application

    urlpatterns.extend(patterns())
    server.set_app(get_wsgi_application())
    print(json.dumps({"url": url, "issuer": f"{url}/o", "secret": SECRET, **USER}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
