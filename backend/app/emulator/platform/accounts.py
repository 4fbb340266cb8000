"""IAM: service accounts and their policies (google/iam/admin/v1/iam.proto); no keys, no custom roles."""

import base64
import hashlib
import re
from typing import Any

from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import invalid, not_found
from ..transport.rest import JsonCall
from .documents import Documents, Json, exists_already, only, page_size, text_field
from .policies import Policies, PolicyMethods

_ACCOUNT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_MOST_DISPLAY_NAME, _MOST_DESCRIPTION = 100, 256
_LARGEST_PAGE = 100
_PLACE = "serviceAccounts/"
_ACCOUNT_FIELDS = frozenset({"name", "projectId", "uniqueId", "email", "displayName", "etag", "description"}) | {
    "oauth2ClientId",
    "disabled",
}


class Accounts(PolicyMethods):
    def __init__(self, context: Context, documents: Documents, policies: Policies) -> None:
        super().__init__(policies)
        self._context = context
        self._documents = documents

    def create_service_account_json(self, call: JsonCall) -> Any:
        self._check(call.variables["name"])
        body = only(call.body, frozenset({"accountId", "serviceAccount"}))
        account_id = text_field(body, "accountId")
        if _ACCOUNT_ID.fullmatch(account_id) is None:
            raise invalid(
                f'Invalid account id "{account_id}": 6-30 lower case letters, digits and dashes, a letter first.'
            )
        project = self._context.project_id
        email = f"{account_id}@{project}.iam.gserviceaccount.com"
        if self._documents.get(f"{_PLACE}{email}") is not None:
            raise exists_already(f"Service account {account_id} already exists within project projects/{project}.")
        wanted = only(body.get("serviceAccount"), _ACCOUNT_FIELDS, "service_account")
        number = new_id() + "00"
        return self._keep(
            {
                "name": f"projects/{project}/serviceAccounts/{email}",
                "projectId": project,
                "uniqueId": number,
                "email": email,
                "displayName": text_field(wanted, "displayName", _MOST_DISPLAY_NAME),
                "description": text_field(wanted, "description", _MOST_DESCRIPTION),
                "oauth2ClientId": number,
            }
        )

    def get_service_account_json(self, call: JsonCall) -> Any:
        return self._told(self._account(call.variables["name"]))

    def list_service_accounts_json(self, call: JsonCall) -> Any:
        self._check(call.variables["name"])
        given = dict(call.query)
        found = [self._told(one) for one in self._documents.under(_PLACE)]
        page, token = page_of(found, page_size(call.query) or 20, given.get("pageToken", ""), _LARGEST_PAGE)
        return ({"accounts": list(page)} if page else {}) | ({"nextPageToken": token} if token else {})

    def patch_service_account_json(self, call: JsonCall) -> Any:
        body = only(call.body, frozenset({"serviceAccount", "updateMask"}))
        account = self._account(call.variables["service_account.name"])
        wanted = only(body.get("serviceAccount"), _ACCOUNT_FIELDS, "service_account")
        paths = [path for path in text_field(body, "updateMask").split(",") if path]
        return self._changed(account, wanted, paths or ["displayName", "description"])

    def update_service_account_json(self, call: JsonCall) -> Any:
        wanted = only(call.body, _ACCOUNT_FIELDS)
        return self._changed(self._account(call.variables["name"]), wanted, ["displayName", "description"])

    def delete_service_account_json(self, call: JsonCall) -> Any:
        account = self._account(call.variables["name"])
        self._documents.delete(f"{_PLACE}{account['email']}")
        self.policies.forget(account["name"])
        return {}

    def enable_service_account_json(self, call: JsonCall) -> Any:
        self._keep({**self._account(call.variables["name"]), "disabled": False})
        return {}

    def disable_service_account_json(self, call: JsonCall) -> Any:
        self._keep({**self._account(call.variables["name"]), "disabled": True})
        return {}

    def _changed(self, account: Json, wanted: Json, paths: list[str]) -> Json:
        limits = {"displayName": _MOST_DISPLAY_NAME, "description": _MOST_DESCRIPTION}
        unknown = [path for path in paths if path not in limits]
        if unknown:
            raise invalid(f"Only displayName and description of a service account can be changed, not {unknown[0]}.")
        return self._keep({**account, **{path: text_field(wanted, path, limits[path]) for path in paths}})

    def _keep(self, account: Json) -> Json:
        self._documents.put(f"{_PLACE}{account['email']}", account)
        return self._told(account)

    def _told(self, account: Json) -> Json:
        shown = {key: value for key, value in account.items() if value not in {"", False}}
        digest = hashlib.blake2b(repr(sorted(account.items())).encode(), digest_size=8).digest()
        return shown | {"etag": base64.b64encode(digest).decode()}

    def _account(self, name: str) -> Json:
        """By e-mail address or unique id; the project may be the wildcard `-`."""
        parent, _, account = name.partition("/serviceAccounts/")
        self._check(parent)
        for one in self._documents.under(_PLACE):
            if account in {one["email"], one["uniqueId"]}:
                return one
        raise not_found(f"Service account {name} does not exist.")

    def _check(self, parent: str) -> None:
        require_project(parent, self._context.project_id, self._context.project_number)
