"""The reference service: settings in, app out. Run it with `make run`, or beneath `cloudops run`."""

from .api.application import create_app

app = create_app()
