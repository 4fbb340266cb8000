"""What `terraform apply` asks beside the operations suite: over REST, as the provider's calls look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.iam.v1 import iam_policy_pb2, policy_pb2

from support.emulator import RunningEmulator, running_emulator
from support.processes import emulator_process
from support.provenance import known_from, our_choice

POLICY = "google/iam/v1/policy.proto"
IAM = "google/iam/admin/v1/iam.proto"
USAGE = "google/api/serviceusage/v1/serviceusage.proto"
BUDGET = "google/cloud/billing/budgets/v1/budget_model.proto"
PUBSUB = "google/pubsub/v1/pubsub.proto"
ACCOUNT = "billingAccounts/012345-6789AB-CDEF01"


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=emulator.http, params={"alt": "json"}) as client:
        yield client


def told(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


@known_from(docs="https://cloudresourcemanager.googleapis.com/$discovery/rest?version=v1")
@pytest.mark.parametrize("name", ["demo", "123456789012"])
def test_the_project_is_found_by_id_and_number(client: httpx.Client, name: str) -> None:
    old = told(client.get(f"/v1/projects/{name}"))
    assert (old["projectId"], old["projectNumber"], old["lifecycleState"]) == ("demo", "123456789012", "ACTIVE")
    new = told(client.get(f"/v3/projects/{name}"))
    assert (new["name"], new["projectId"], new["state"]) == ("projects/123456789012", "demo", "ACTIVE")
    assert client.get("/v1/projects/other").status_code == 404
    assert told(client.get("/v1/projects"))["projects"] == [old]
    assert told(client.get("/v3/projects:search"))["projects"] == [new]


def member(role: str = "roles/logging.logWriter", *members: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "members": list(members) or ["serviceAccount:a@demo.iam.gserviceaccount.com"], **more}


@known_from(proto="google/iam/v1/iam_policy.proto")
@pytest.mark.parametrize("version", ["v1", "v3"])
def test_a_policy_is_read_changed_and_written(client: httpx.Client, version: str) -> None:
    project = f"/{version}/projects/demo"
    options = {"options": {"requestedPolicyVersion": 3}}
    policy = told(client.post(f"{project}:getIamPolicy", json=options))
    policy["bindings"] = [member()]
    body = {"policy": policy, "updateMask": "bindings,etag,auditConfigs"}
    written = told(client.post(f"{project}:setIamPolicy", json=body))
    assert written["bindings"] == [member()]
    assert told(client.post(f"{project}:getIamPolicy", json=options)) == written
    again = client.post(f"{project}:setIamPolicy", json=body)
    assert refused(again)[0] == 409
    assert again.json()["error"]["status"] == "ABORTED"


@known_from(proto=POLICY)
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"bindings": [member("logWriter")]}, "The role name"),
        ({"bindings": [member("roles/viewer", "a@b.example")]}, "unknown type"),
        ({"version": 2}, "version must be 0, 1 or 3"),
        (
            {"version": 1, "bindings": [member(condition={"title": "t", "expression": "true"})]},
            "must have version 3",
        ),
        ({"bindings": [member("roles/viewer", *(f"user:u{n}@b.example" for n in range(1501)))]}, "1500 principals"),
        ({"bindings": [member("roles/viewer", *(f"group:g{n}@b.example" for n in range(251)))]}, "250 groups"),
        ({"bindings": "all"}, "Invalid"),
    ],
    ids=["role", "member", "version", "condition", "members", "groups", "shape"],
)
def test_a_policy_that_iam_does_not_know_is_refused(client: httpx.Client, policy: dict[str, Any], message: str) -> None:
    code, text = refused(client.post("/v1/projects/demo:setIamPolicy", json={"policy": policy}))
    assert code == 400
    assert message in text


@known_from(proto=POLICY)
def test_conditions_need_and_give_version_3(client: httpx.Client) -> None:
    binding = member(condition={"title": "t", "expression": "true"})
    policy = {"version": 3, "bindings": [binding]}
    answer = told(client.post("/v1/projects/demo:setIamPolicy", json={"policy": policy}))
    assert (answer["version"], answer["bindings"]) == (3, [binding])
    back = told(client.post("/v1/projects/demo:setIamPolicy", json={"policy": {"version": 3, "bindings": []}}))
    assert "bindings" not in back


def test_the_mixed_in_iam_service_speaks_grpc(emulator: RunningEmulator, client: httpx.Client) -> None:
    told(client.put("/v1/projects/demo/topics/alerts", json={}))
    resource = "projects/demo/topics/alerts"
    with emulator.channel() as channel:
        call: Any = channel.unary_unary(
            "/google.iam.v1.IAMPolicy/SetIamPolicy",
            request_serializer=iam_policy_pb2.SetIamPolicyRequest.SerializeToString,
            response_deserializer=policy_pb2.Policy.FromString,
        )
        policy = policy_pb2.Policy(bindings=[{"role": "roles/pubsub.publisher", "members": ["user:a@b.example"]}])
        call(iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy))
    found = told(client.get(f"/v1/{resource}:getIamPolicy"))
    assert found["bindings"] == [{"role": "roles/pubsub.publisher", "members": ["user:a@b.example"]}]
    asked = {"permissions": ["pubsub.topics.publish"]}
    assert told(client.post(f"/v1/{resource}:testIamPermissions", json=asked)) == asked


@known_from(
    docs="https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/cloud_run_v2_service_iam"
)
def test_a_cloud_run_service_has_a_policy(client: httpx.Client) -> None:
    service = "/v2/projects/demo/locations/europe-west1/services/items"
    body = {"policy": {"bindings": [member("roles/run.invoker", "allUsers")]}}
    told(client.post(f"{service}:setIamPolicy", json=body))
    assert told(client.get(f"{service}:getIamPolicy"))["bindings"] == body["policy"]["bindings"]
    unknown = client.get(service)
    assert unknown.status_code == 501
    assert "google.cloud.run.v2.Services.GetService" in refused(unknown)[1]


@known_from(proto=USAGE)
def test_services_are_enabled_listed_and_disabled(client: httpx.Client) -> None:
    services = "/v1/projects/demo/services"
    enabled = {"pageSize": "200", "filter": "state:ENABLED", "fields": "services/name,nextPageToken"}
    assert told(client.get(services, params=enabled)) == {}
    operation = told(client.post(f"{services}/monitoring.googleapis.com:enable", json={}))
    assert operation["done"] is True
    assert operation["response"]["service"]["state"] == "ENABLED"
    assert told(client.get(f"/v1/{operation['name']}")) == operation
    batch = told(client.post(f"{services}:batchEnable", json={"serviceIds": ["logging.googleapis.com"]}))
    assert [one["config"]["name"] for one in batch["response"]["services"]] == ["logging.googleapis.com"]
    names = [one["name"] for one in told(client.get(services, params=enabled))["services"]]
    assert names == [f"projects/123456789012/services/{name}.googleapis.com" for name in ("logging", "monitoring")]
    told(client.post(f"{services}/logging.googleapis.com:disable", json={"disableDependentServices": True}))
    assert told(client.get(f"{services}/logging.googleapis.com"))["state"] == "DISABLED"
    assert told(client.get(f"{services}/never.googleapis.com"))["state"] == "DISABLED"
    again = told(client.post(f"{services}/monitoring.googleapis.com:enable", json={}))
    assert again["name"] == "operations/noop.DONE_OPERATION"


@known_from(proto=USAGE)
def test_what_service_usage_refuses(client: httpx.Client) -> None:
    services = "/v1/projects/demo/services"
    many = {"serviceIds": [f"s{n}.googleapis.com" for n in range(21)]}
    assert refused(client.post(f"{services}:batchEnable", json=many))[0] == 400
    assert refused(client.post(f"{services}:batchEnable", json={}))[0] == 400
    assert refused(client.get(services, params={"filter": "name:x"}))[0] == 400
    assert refused(client.get(services, params={"pageSize": "201"}))[0] == 400
    assert refused(client.get("/v1/projects/other/services"))[0] == 404
    assert refused(client.get("/v1/operations/unknown"))[0] == 404
    assert refused(client.post(f"{services}/a.googleapis.com:enable", json={"x": 1}))[0] == 400


@known_from(proto=IAM)
def test_a_service_account_lives(client: httpx.Client) -> None:
    accounts = "/v1/projects/demo/serviceAccounts"
    body = {"accountId": "cloudops", "serviceAccount": {"displayName": "Cloudops", "description": "d"}}
    made = told(client.post(accounts, json=body))
    email = "cloudops@demo.iam.gserviceaccount.com"
    assert (made["name"], made["email"]) == (f"projects/demo/serviceAccounts/{email}", email)
    for name in (f"{accounts}/{email}", f"/v1/projects/-/serviceAccounts/{email}", f"{accounts}/{made['uniqueId']}"):
        assert told(client.get(name)) == made
    assert refused(client.post(accounts, json=body))[0] == 409
    patch = {"serviceAccount": {"displayName": "New"}, "updateMask": "displayName"}
    changed = told(client.patch(f"{accounts}/{email}", json=patch))
    assert (changed["displayName"], changed["description"]) == ("New", "d")
    told(client.post(f"{accounts}/{email}:disable", json={}))
    assert told(client.get(f"{accounts}/{email}"))["disabled"] is True
    told(client.post(f"{accounts}/{email}:enable", json={}))
    policy = {"policy": {"bindings": [member("roles/iam.serviceAccountUser", "user:a@b.example")]}}
    told(client.post(f"{accounts}/{email}:setIamPolicy", json=policy))
    assert told(client.post(f"{accounts}/{email}:getIamPolicy"))["bindings"]
    assert [one["email"] for one in told(client.get(accounts))["accounts"]] == [email]
    assert told(client.delete(f"{accounts}/{email}")) == {}
    assert refused(client.get(f"{accounts}/{email}"))[0] == 404
    assert told(client.get(accounts)) == {}


@known_from(proto=IAM)
@pytest.mark.parametrize("account_id", ["short", "Upper-case", "1digit-first", "ends-with-", "x" * 31, ""])
def test_an_account_id_is_checked(client: httpx.Client, account_id: str) -> None:
    code, message = refused(client.post("/v1/projects/demo/serviceAccounts", json={"accountId": account_id}))
    assert (code, "Invalid account id" in message) == (400, True)


def budget(**changes: Any) -> dict[str, Any]:
    amount = {"specifiedAmount": {"currencyCode": "EUR", "units": "100"}}
    return {"displayName": "Monitoring", "amount": amount, "thresholdRules": [{"thresholdPercent": 0.5}], **changes}


@known_from(proto="google/cloud/billing/budgets/v1/budget_service.proto")
def test_a_budget_lives(client: httpx.Client) -> None:
    made = told(client.post(f"/v1/{ACCOUNT}/budgets", json=budget()))
    assert made["name"].startswith(f"{ACCOUNT}/budgets/")
    assert made["budgetFilter"] == {"creditTypesTreatment": "INCLUDE_ALL_CREDITS", "calendarPeriod": "MONTH"}
    assert made["thresholdRules"] == [{"thresholdPercent": 0.5, "spendBasis": "CURRENT_SPEND"}]
    path = f"/v1/{made['name']}"
    assert told(client.get(path)) == made
    mask = {"updateMask": "displayName,amount.specifiedAmount.units"}
    changes = {"displayName": "New", "amount": {"specifiedAmount": {"units": "200"}}, "thresholdRules": []}
    changed = told(client.patch(path, json=changes, params=mask))
    assert changed["displayName"] == "New"
    assert changed["amount"] == {"specifiedAmount": {"currencyCode": "EUR", "units": "200"}}
    assert changed["thresholdRules"] == made["thresholdRules"]
    assert refused(client.patch(path, json={"displayName": "x", "etag": made["etag"]}))[0] == 409
    assert told(client.get(f"/v1/{ACCOUNT}/budgets"))["budgets"] == [changed]
    assert told(client.delete(path)) == {}
    assert refused(client.get(path))[0] == 404


@known_from(proto=BUDGET)
@pytest.mark.parametrize(
    "wrong",
    [
        {"displayName": "x" * 61},
        {"amount": {}},
        {"amount": {"specifiedAmount": {}, "lastPeriodAmount": {}}},
        {"thresholdRules": [{"thresholdPercent": -1}]},
        {"thresholdRules": [{"thresholdPercent": "half"}]},
        {"thresholdRules": [{"thresholdPercent": 1, "spendBasis": "SOME"}]},
        {"notificationsRule": {"pubsubTopic": "alerts", "schemaVersion": "1.0"}},
        {"notificationsRule": {"pubsubTopic": "projects/demo/topics/alerts"}},
        {"notificationsRule": {"monitoringNotificationChannels": ["c"] * 6}},
        {"gaol": 1},
        {"budgetFilter": {"project": []}},
    ],
    ids=str,
)
def test_a_wrong_budget_is_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    assert refused(client.post(f"/v1/{ACCOUNT}/budgets", json=budget(**wrong)))[0] == 400


@known_from(proto=PUBSUB)
def test_a_topic_lives(client: httpx.Client) -> None:
    topic = "/v1/projects/demo/topics/alerts"
    made = told(client.put(topic, json={"labels": {"a": "1"}}))
    assert made == {"name": "projects/demo/topics/alerts", "labels": {"a": "1"}, "state": "ACTIVE"}
    assert refused(client.put(topic, json={}))[0] == 409
    changed = told(client.patch(topic, json={"topic": {"labels": {"a": "2"}}}, params={"updateMask": "labels"}))
    assert changed["labels"] == {"a": "2"}
    assert refused(client.patch(topic, json={"topic": {}}))[0] == 400
    assert refused(client.patch(topic, json={"topic": {}, "updateMask": "name"}))[0] == 400
    assert told(client.get(topic)) == changed
    assert told(client.get("/v1/projects/demo/topics"))["topics"] == [changed]
    told(client.delete(topic))
    assert refused(client.get(topic)) == (404, "Resource not found (resource=alerts).")


@known_from(proto=PUBSUB)
@pytest.mark.parametrize("name", ["a", "1abc", "googabc", "x" * 256, "with space", "ümlaut"])
def test_a_topic_s_name_is_checked(client: httpx.Client, name: str) -> None:
    assert refused(client.put(f"/v1/projects/demo/topics/{name}", json={}))[0] == 400


@known_from(proto=PUBSUB)
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{}],
        [{"data": "no base64!"}],
        [{"data": "YQ==", "unknown": 1}],
        [{"attributes": {"a": 1}}],
        [{"attributes": {"a": "x" * 1025}}],
        [{"attributes": {str(n): "x" for n in range(101)}}],
        [{"data": "YQ=="}] * 1001,
        ["text"],
    ],
    ids=range(9),
)
def test_a_wrong_message_is_refused(client: httpx.Client, messages: list[Any]) -> None:
    told(client.put("/v1/projects/demo/topics/alerts", json={}))
    assert refused(client.post("/v1/projects/demo/topics/alerts:publish", json={"messages": messages}))[0] == 400


@known_from(proto=PUBSUB)
def test_messages_are_pulled_and_acknowledged(client: httpx.Client) -> None:
    told(client.put("/v1/projects/demo/topics/alerts", json={}))
    told(client.put("/v1/projects/demo/subscriptions/reader", json={"topic": "projects/demo/topics/alerts"}))
    published = {"messages": [{"data": "YQ=="}, {"attributes": {"k": "v"}}]}
    ids = told(client.post("/v1/projects/demo/topics/alerts:publish", json=published))["messageIds"]
    reader = "/v1/projects/demo/subscriptions/reader"
    received = told(client.post(f"{reader}:pull", json={"maxMessages": 10}))["receivedMessages"]
    assert [one["message"]["messageId"] for one in received] == ids
    assert told(client.post(f"{reader}:pull", json={"maxMessages": 10})) == {}  # held until the deadline
    told(client.post(f"{reader}:acknowledge", json={"ackIds": [received[0]["ackId"]]}))
    told(client.delete("/v1/projects/demo/topics/alerts"))
    assert told(client.get(reader))["topic"] == "_deleted-topic_"
    told(client.delete(reader))
    assert refused(client.post(f"{reader}:pull", json={"maxMessages": 1}))[0] == 404


@our_choice("what needs protobuf classes that the emulator does not install is told by name")
@pytest.mark.parametrize(
    ("verb", "path", "method"),
    [
        ("POST", "/v1/projects/demo/roles", "google.iam.admin.v1.IAM.CreateRole"),
        ("POST", "/v1/projects/demo/subscriptions/r:seek", "google.pubsub.v1.Subscriber.Seek"),
        ("POST", "/v3/projects", "google.cloud.resourcemanager.v3.Projects.CreateProject"),
    ],
)
def test_methods_that_are_not_answered_say_so(client: httpx.Client, verb: str, path: str, method: str) -> None:
    answer = client.request(verb, path, json={})
    assert (answer.status_code, method in refused(answer)[1]) == (501, True)


@our_choice("bodies that are no objects, or nested for ever, are refused and harm nothing")
@pytest.mark.parametrize("content", [b"[]", b"1", b"{", b'{"labels":' * 2000, b'"' + b"x" * 100 + b'"'])
@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PUT", "/v1/projects/demo/topics/alerts"),
        ("POST", f"/v1/{ACCOUNT}/budgets"),
        ("POST", "/v1/projects/demo/serviceAccounts"),
        ("POST", "/v1/projects/demo:setIamPolicy"),
        ("POST", "/v1/projects/demo/services:batchEnable"),
    ],
)
def test_hostile_bodies_are_refused(client: httpx.Client, verb: str, path: str, content: bytes) -> None:
    assert refused(client.request(verb, path, content=content))[0] == 400


@our_choice("a document is kept as it came, so it must be one that can be written again")
@pytest.mark.parametrize("depth", [33, 250, 1000])
def test_documents_that_are_nested_too_deeply_are_refused(client: httpx.Client, depth: int) -> None:
    deep = b'{"schemaSettings":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    assert refused(client.put("/v1/projects/demo/topics/alerts", content=deep))[0] == 400
    assert told(client.get("/v1/projects/demo/topics")) == {}


@our_choice("numbers of any length are refused, not read")
@pytest.mark.parametrize(
    "parameters", [{"pageSize": "9" * 5000}, {"pageSize": "-1"}, {"pageToken": "9" * 5000}], ids=range(3)
)
@pytest.mark.parametrize("collection", ["projects/demo/topics", "projects/demo/services", f"{ACCOUNT}/budgets"])
def test_hostile_pages_are_refused(client: httpx.Client, collection: str, parameters: dict[str, str]) -> None:
    assert refused(client.get(f"/v1/{collection}", params=parameters))[0] == 400


@known_from(proto=PUBSUB)
@pytest.mark.parametrize("labels", [["a"], {"a": 1}, {"a": {"b": "c"}}, "text"], ids=str)
def test_labels_are_texts(client: httpx.Client, labels: Any) -> None:
    assert refused(client.put("/v1/projects/demo/topics/alerts", json={"labels": labels}))[0] == 400


def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    paths = [
        "/v1/projects/demo/topics/alerts",
        "/v1/projects/demo/subscriptions/reader",
        "/v1/projects/demo/serviceAccounts/cloudops@demo.iam.gserviceaccount.com",
        "/v1/projects/demo/services?filter=state:ENABLED",
    ]
    pull = "/v1/projects/demo/subscriptions/reader:pull"
    with (
        emulator_process(data_dir=str(tmp_path)) as (process, addresses),
        httpx.Client(base_url=addresses["http"]) as client,
    ):
        told(client.put(paths[0], json={}))
        told(client.put(paths[1], json={"topic": "projects/demo/topics/alerts"}))
        told(client.post("/v1/projects/demo/serviceAccounts", json={"accountId": "cloudops"}))
        told(client.post("/v1/projects/demo/services/monitoring.googleapis.com:enable", json={}))
        paths.append(f"/v1/{told(client.post(f'/v1/{ACCOUNT}/budgets', json=budget()))['name']}")
        policy = told(client.post("/v1/projects/demo:setIamPolicy", json={"policy": {"bindings": [member()]}}))
        for number in range(3):
            message = {"attributes": {"n": str(number)}}
            told(client.post(f"{paths[0]}:publish", json={"messages": [message]}))
        first = told(client.post(pull, json={"maxMessages": 1}))["receivedMessages"][0]["ackId"]
        told(client.post("/v1/projects/demo/subscriptions/reader:acknowledge", json={"ackIds": [first]}))
        before = [told(client.get(path)) for path in paths]
        process.kill()
    with emulator_process(data_dir=str(tmp_path)) as (_, addresses), httpx.Client(base_url=addresses["http"]) as client:
        assert [told(client.get(path)) for path in paths] == before
        assert told(client.post("/v1/projects/demo:getIamPolicy", json={})) == policy
        left = told(client.post(pull, json={"maxMessages": 10}))["receivedMessages"]
        assert [one["message"]["attributes"]["n"] for one in left] == ["1", "2"]
