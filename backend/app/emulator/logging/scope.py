"""What the resource names of a read stand for: a project's buckets, or single views (logging.proto)."""

from collections.abc import Iterable
from typing import NamedTuple

from ..names import require_project
from ..project import Context
from ..status import invalid, missing_field
from . import config_rules as rules
from .buckets import Buckets
from .query import Query
from .record import Record
from .sinks import matches

_RESOURCE_NAMES = 100
_NEVER = 2**63 - 1


class _Seen(NamedTuple):
    bucket: str
    query: Query


class Scope:
    """The entries that a caller may see: `start` (ns) bounds them, `holds` decides.

    A project stands for all of its buckets: which of them Google searches is not published for the API.
    """

    def __init__(self, names: Iterable[str], buckets: Buckets, context: Context, field: str = "resource_names") -> None:
        given = list(names)
        if not given:
            raise missing_field(field)
        if len(given) > _RESOURCE_NAMES:
            raise invalid(f"{field} has {len(given)} names, the limit is {_RESOURCE_NAMES}.")
        self._buckets = buckets
        self.refresh()
        self._views: list[_Seen] | None = []
        for name in given:
            require_project(name, context.project_id, context.project_number, field)
            if "/buckets/" in name:
                view = rules.read_bucket_name(name, context, field, view=True)
                if self._views is not None:
                    self._views.append(_Seen(view.bucket_name, buckets.view_query(view)))
            elif name.count("/") != 1:
                raise invalid(f"Name '{name}' is neither a project nor a view of a bucket.")
            else:
                self._views = None  # the whole project: views add nothing

    def refresh(self) -> None:
        """Look at the buckets again: they change, and time passes."""
        self._horizons = self._buckets.horizons()
        self.start = min(self._horizons.values())

    def holds(self, record: Record) -> bool:
        horizons, time = self._horizons, record.time
        if self._views is None:
            # A loop: a generator would cost as much as the rest of the search.
            for bucket in record.buckets:  # noqa: SIM110
                if time >= horizons.get(bucket, _NEVER):
                    return True
            return False
        return any(
            view.bucket in record.buckets and time >= horizons.get(view.bucket, _NEVER) and matches(view.query, record)
            for view in self._views
        )
