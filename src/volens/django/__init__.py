"""Volens in a Django site: ``"volens.django"`` in INSTALLED_APPS, ``"volens.django.Middleware"`` first in MIDDLEWARE.

The middleware is the face (as ``volens.Consent`` is around a WSGI or ASGI application), so ``runserver``, any WSGI or ASGI server
and the test client all go through it.
"""

from volens.django.middleware import Middleware as Middleware
from volens.django.middleware import RequestConsent as RequestConsent

__all__ = ["Middleware", "RequestConsent"]
