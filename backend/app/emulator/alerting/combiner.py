"""How a policy's conditions make its incidents (google/monitoring/v3/alert.proto, ConditionCombinerType)."""

from collections.abc import Sequence

from .messages import AlertPolicy
from .observed import Observed
from .tracks import Tracks

_Type = AlertPolicy.ConditionCombinerType


def combined(combiner: int, met: Sequence[Tracks]) -> list[Tracks]:
    """Of the met series of each condition those that have an incident.

    OR: each. AND: each, once every condition is met, by whatever resource. AND_WITH_MATCHING_RESOURCE: those whose
    resource also meets every other condition. An incident is one series of one condition in all three cases.
    """
    if combiner == _Type.AND:
        return list(met) if all(met) else [{} for _ in met]
    if combiner == _Type.AND_WITH_MATCHING_RESOURCE:
        return [
            {
                key: track
                for key, track in tracks.items()
                if all(
                    any(_same_resource(track.seen, other.seen) for other in others.values())
                    for position, others in enumerate(met)
                    if position != place
                )
            }
            for place, tracks in enumerate(met)
        ]
    return list(met)


def _same_resource(one: Observed, other: Observed) -> bool:
    """Equal in the labels that both kept: a condition that groups by zone has no other label to compare.

    Google says "for the same resource" and no more.
    """
    shared = one.resource_labels.keys() & other.resource_labels.keys()
    return one.resource_type == other.resource_type and all(
        one.resource_labels[key] == other.resource_labels[key] for key in shared
    )
