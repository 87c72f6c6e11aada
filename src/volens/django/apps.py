"""The application ``volens.django``."""

from django.apps import AppConfig
from django.core.checks import register


class VolensConfig(AppConfig):
    """Registers the system checks."""

    name = "volens.django"
    label = "volens"
    verbose_name = "Volens"

    def ready(self) -> None:
        """Called once by Django."""
        from volens.django.checks import check

        register(check)
