"""The project around the operations suite: what `terraform apply` of a monitoring module asks beside it."""

from collections.abc import Callable
from typing import Any

from ..project import Context
from .accounts import Accounts
from .budgets import Budgets
from .documents import Documents
from .policies import Policies, PolicyMethods
from .projects import ProjectsV1, ProjectsV3
from .pubsub import Publisher, PubSub, Subscriber
from .service_usage import Operations, ServiceUsage


class Platform:
    """`logging_operation` answers an operation of Cloud Logging by its name."""

    def __init__(self, context: Context, logging_operation: Callable[[str], Any]) -> None:
        self.documents = Documents(context)
        self.policies = Policies(context)
        self.pubsub = PubSub(context, self.documents, self.policies)
        usage = ServiceUsage(context, self.documents)
        self.services: dict[str, object] = {
            "google.api.serviceusage.v1.ServiceUsage": usage,
            "google.cloud.billing.budgets.v1.BudgetService": Budgets(self.documents),
            "google.cloud.resourcemanager.v3.Projects": ProjectsV3(context, self.policies),
            "google.cloud.run.v2.Services": PolicyMethods(self.policies),
            "google.cloudresourcemanager.v1.Projects": ProjectsV1(context, self.policies),
            "google.iam.admin.v1.IAM": Accounts(context, self.documents, self.policies),
            "google.iam.v1.IAMPolicy": PolicyMethods(self.policies),
            "google.longrunning.Operations": Operations(usage, logging_operation),
            "google.pubsub.v1.Publisher": Publisher(self.pubsub),
            "google.pubsub.v1.Subscriber": Subscriber(self.pubsub),
        }

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record; it was valid when it was written."""
        if not any(part.restore(kind, record) for part in (self.documents, self.policies, self.pubsub)):
            raise ValueError(f"the journal holds a record of an unknown kind: {kind}")
