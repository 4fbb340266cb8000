"""IAM policies of all resources (google/iam/v1/policy.proto, iam_policy.proto): kept, never asked when others call."""

import hashlib
import re
from typing import Any

from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from ..names import require_project
from ..project import Context
from ..status import ApiError, Code, invalid, missing_field

POLICY = "platform.policy"

_ROLE = re.compile(r"(?:(?:projects|organizations)/[^/]+/)?roles/[A-Za-z0-9_.]+")
_MEMBER = re.compile(
    r"allUsers|allAuthenticatedUsers"
    r"|(?:deleted:)?(?:user|serviceAccount|group|domain|projectOwner|projectEditor|projectViewer):[^\s:][^\s]*"
    r"|(?:principal|principalSet)://\S+"
)
_VERSIONS = (0, 1, 3)
_WITH_CONDITIONS = 3
_MOST_MEMBERS, _MOST_GROUPS = 1500, 250  # policy.proto, Policy.bindings


class Policies:
    """By resource name, without the part that names the API's version."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[str, policy_pb2.Policy] = {}

    def get(self, request: Any) -> policy_pb2.Policy:
        self._check(request.resource)
        if request.options.requested_policy_version not in {*_VERSIONS, 2}:
            raise invalid("requested_policy_version must be 0, 1 or 3.")
        answer = policy_pb2.Policy()
        answer.CopyFrom(self._kept.get(request.resource, _empty()))
        return answer

    def set(self, request: Any) -> policy_pb2.Policy:
        self._check(request.resource)
        if not request.HasField("policy"):
            raise missing_field("policy")
        wanted = request.policy
        stored = self._kept.get(request.resource, _empty())
        if wanted.etag and wanted.etag != stored.etag:
            raise ApiError(
                Code.ABORTED,
                "There were concurrent policy changes. "
                "Please retry the whole read-modify-write with exponential backoff.",
            )
        _check_policy(wanted, stored)
        policy = policy_pb2.Policy()
        policy.CopyFrom(stored)
        # Without a mask "bindings, etag" (iam_policy.proto, SetIamPolicyRequest.update_mask).
        for path in (request.update_mask or FieldMask()).paths or ["bindings", "etag", "version"]:
            if path in {"bindings", "audit_configs", "auditConfigs"}:
                field = "bindings" if path == "bindings" else "audit_configs"
                policy.ClearField(field)
                getattr(policy, field).extend(
                    one for one in getattr(wanted, field) if field != "bindings" or one.members
                )
        policy.version = _WITH_CONDITIONS if any(one.HasField("condition") for one in policy.bindings) else 1
        policy.etag = _etag(policy)
        kept = iam_policy_pb2.SetIamPolicyRequest(resource=request.resource, policy=policy)
        self._context.journal.append(POLICY, kept.SerializeToString())
        self._kept[request.resource] = policy
        answer = policy_pb2.Policy()
        answer.CopyFrom(policy)
        return answer

    def test(self, request: Any) -> iam_policy_pb2.TestIamPermissionsResponse:
        """All of them: the emulator lets everybody do everything."""
        self._check(request.resource)
        if not request.permissions:
            raise missing_field("permissions")
        for permission in request.permissions:
            if "*" in permission:
                raise invalid(f"Permissions with wildcards are not allowed: {permission}")
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=request.permissions)

    def forget(self, resource: str) -> None:
        """The resource is deleted; its record in the journal is overwritten by an empty policy."""
        if self._kept.pop(resource, None) is not None:
            kept = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=_empty())
            self._context.journal.append(POLICY, kept.SerializeToString())

    def restore(self, kind: str, record: bytes) -> bool:
        if kind != POLICY:
            return False
        request = iam_policy_pb2.SetIamPolicyRequest.FromString(record)
        self._kept[request.resource] = request.policy
        return True

    def _check(self, resource: str) -> None:
        if not resource:
            raise missing_field("resource")
        require_project(resource, self._context.project_id, self._context.project_number, "resource")


class PolicyMethods:
    """GetIamPolicy, SetIamPolicy and TestIamPermissions, for services that have them among their own."""

    def __init__(self, policies: Policies) -> None:
        self.policies = policies

    def get_iam_policy(self, request: Any) -> policy_pb2.Policy:
        return self.policies.get(request)

    def set_iam_policy(self, request: Any) -> policy_pb2.Policy:
        return self.policies.set(request)

    def test_iam_permissions(self, request: Any) -> iam_policy_pb2.TestIamPermissionsResponse:
        return self.policies.test(request)


def _empty() -> policy_pb2.Policy:
    policy = policy_pb2.Policy(version=1)
    policy.etag = _etag(policy)
    return policy


def _etag(policy: policy_pb2.Policy) -> bytes:
    bare = policy_pb2.Policy()
    bare.CopyFrom(policy)
    bare.ClearField("etag")
    return hashlib.blake2b(bare.SerializeToString(deterministic=True), digest_size=8).digest()


def _check_policy(policy: Any, stored: Any) -> None:
    if policy.version not in _VERSIONS:
        raise invalid(f"The policy version must be 0, 1 or 3, not {policy.version}.")
    conditional = any(one.HasField("condition") for one in (*policy.bindings, *stored.bindings))
    if conditional and policy.version != _WITH_CONDITIONS:
        raise invalid("A policy with conditional role bindings must have version 3.")
    members = 0
    groups = 0
    for binding in policy.bindings:
        if _ROLE.fullmatch(binding.role) is None:
            raise invalid(f'The role name must be in the form "roles/{{role}}", not "{binding.role}".')
        for member in binding.members:
            if _MEMBER.fullmatch(member) is None:
                raise invalid(
                    f'The member {member} is of an unknown type: write "<type>:<value>", e.g. user:a@b.example.'
                )
            members += 1
            groups += member.startswith("group:")
    if members > _MOST_MEMBERS or groups > _MOST_GROUPS:
        raise invalid(f"A policy has at most {_MOST_MEMBERS} principals and {_MOST_GROUPS} groups among them.")
