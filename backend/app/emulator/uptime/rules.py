"""Defaults and refusals of uptime check configurations (google/monitoring/v3/uptime.proto and its comments)."""

from ..alerting.limits import check_display_name, check_user_labels, seconds
from ..status import invalid_field, missing_field
from .checkers import checkers_of
from .content import check_matcher
from .messages import Raw, UptimeCheckConfig, UptimeCheckRegion

_PATH = "uptime_check_config"
_HTTP = f"{_PATH}.http_check"
_DEFAULT_PERIOD = 60
_DEFAULT_TIMEOUT = 10
_PERIODS = (60, 300, 600, 900)
_LONGEST_TIMEOUT = 60
_LONGEST_CONTENT = 1024
_MOST_PINGS = 3
_MOST_HEADERS = 100
_LARGEST_BODY = 1_000_000
_STARS = "******"
_HTTP_PORT = 80
_HTTPS_PORT = 443
_FEWEST_LOCATIONS = 3
_RESOURCES = {
    "uptime_url",
    "gce_instance",
    "gae_app",
    "aws_ec2_instance",
    "aws_elb_load_balancer",
    "k8s_service",
    "servicedirectory_service",
    "cloud_run_revision",
}


def fill_defaults(config: Raw, project_id: str) -> None:
    """What the server adds on create and update: period, port, path, method, checker type, the resource's project."""
    if not config.HasField("period"):
        config.period.seconds = _DEFAULT_PERIOD
    if not config.HasField("timeout"):
        config.timeout.seconds = _DEFAULT_TIMEOUT
    if config.HasField("http_check"):
        check = config.http_check
        check.path = check.path if check.path.startswith("/") else f"/{check.path}"
        check.port = check.port or (_HTTPS_PORT if check.use_ssl else _HTTP_PORT)
        check.request_method = check.request_method or UptimeCheckConfig.HttpCheck.RequestMethod.GET
    if config.HasField("monitored_resource") and "project_id" not in config.monitored_resource.labels:
        config.monitored_resource.labels["project_id"] = project_id
    config.checker_type = config.checker_type or UptimeCheckConfig.CheckerType.STATIC_IP_CHECKERS


def shown(config: Raw) -> Raw:
    """As a reader gets it: masked headers and the password of basic authentication as stars."""
    copy = UptimeCheckConfig()
    copy.CopyFrom(config)
    check = copy.http_check if copy.HasField("http_check") else None
    if check is not None and check.mask_headers:
        for key in check.headers:
            check.headers[key] = _STARS
    if check is not None and check.auth_info.password:
        check.auth_info.password = _STARS
    return copy


def check_uptime(config: Raw) -> None:
    """Raise the ApiError that the API would answer."""
    if not config.display_name:
        raise missing_field(f"{_PATH}.display_name")
    check_display_name(config.display_name, f"{_PATH}.display_name")
    check_user_labels(config.user_labels, f"{_PATH}.user_labels")
    if config.WhichOneof("resource") is None:
        raise missing_field(f"{_PATH}.resource")
    if config.HasField("monitored_resource") and config.monitored_resource.type not in _RESOURCES:
        raise invalid_field(
            f"{_PATH}.monitored_resource.type",
            f"must be one of {', '.join(sorted(_RESOURCES))}.",
            config.monitored_resource.type,
        )
    if config.WhichOneof("check_request_type") is None and not config.HasField("synthetic_monitor"):
        raise missing_field(f"{_PATH}.check_request_type")
    _resource(config)
    if config.HasField("period") and seconds(config.period) not in _PERIODS:
        raise invalid_field(
            f"{_PATH}.period", "must be one of 60s, 300s, 600s and 900s.", f"{seconds(config.period):g}s"
        )
    if config.HasField("timeout") and not 1 <= seconds(config.timeout) <= _LONGEST_TIMEOUT:
        raise invalid_field(f"{_PATH}.timeout", "must be between 1 and 60 seconds.", f"{seconds(config.timeout):g}s")
    _content(config)
    _regions(config)
    if config.HasField("http_check"):
        _http(config.http_check)
    if config.HasField("tcp_check"):
        if not config.tcp_check.port:
            raise missing_field(f"{_PATH}.tcp_check.port")
        _port(config.tcp_check.port, f"{_PATH}.tcp_check.port")
        _pings(config.tcp_check.ping_config, f"{_PATH}.tcp_check.ping_config")


def _content(config: Raw) -> None:
    for index, matcher in enumerate(config.content_matchers):
        if len(matcher.content.encode()) > _LONGEST_CONTENT:
            raise invalid_field(f"{_PATH}.content_matchers[{index}].content", "must not exceed 1024 bytes.")
        try:
            check_matcher(matcher)
        except ValueError as error:
            raise invalid_field(f"{_PATH}.content_matchers[{index}]", f"{error}.", matcher.content) from error


def _resource(config: Raw) -> None:
    """Which kinds of checks a resource takes (uptime.proto, on `monitored_resource` and `resource_group`)."""
    if config.HasField("monitored_resource"):
        labels = config.monitored_resource.labels
        if config.monitored_resource.type == "uptime_url" and not labels.get("host"):
            raise missing_field(f"{_PATH}.monitored_resource.labels[host]")
        vpc = UptimeCheckConfig.CheckerType.VPC_CHECKERS
        if config.checker_type == vpc and config.monitored_resource.type != "servicedirectory_service":
            why = "with VPC_CHECKERS the monitored resource must be of type servicedirectory_service."
            raise invalid_field(f"{_PATH}.checker_type", why, "VPC_CHECKERS")
    if config.HasField("resource_group") and not config.resource_group.group_id:
        raise missing_field(f"{_PATH}.resource_group.group_id")
    if config.HasField("synthetic_monitor") and not config.synthetic_monitor.cloud_function_v2.name:
        raise missing_field(f"{_PATH}.synthetic_monitor.cloud_function_v2.name")
    if config.internal_checkers and not config.is_internal:
        # "It is an error to provide ... 'internal_checkers' when is_internal is false" (uptime.proto).
        raise invalid_field(f"{_PATH}.internal_checkers", "must not be given when is_internal is false.")


def _regions(config: Raw) -> None:
    if not config.selected_regions:
        return
    if config.is_internal:
        raise invalid_field(f"{_PATH}.selected_regions", "must not be given when is_internal is true.")
    for number in config.selected_regions:
        if number not in set(UptimeCheckRegion) or not number:
            raise invalid_field(f"{_PATH}.selected_regions", "is not a region.", number)
    if len(checkers_of(config.selected_regions)) < _FEWEST_LOCATIONS:
        raise invalid_field(f"{_PATH}.selected_regions", "must include a minimum of 3 locations.")


def _http(check: Raw) -> None:
    _port(check.port, f"{_HTTP}.port")
    if len(check.headers) > _MOST_HEADERS:
        raise invalid_field(f"{_HTTP}.headers", "the maximum number of headers allowed is 100.")
    if len(check.body) > _LARGEST_BODY:
        raise invalid_field(f"{_HTTP}.body", "must not exceed 1 megabyte.")
    if check.HasField("auth_info") and check.HasField("service_agent_authentication"):
        raise invalid_field(f"{_HTTP}.auth_info", "must not be given with service_agent_authentication.")
    if check.auth_info.password and not check.auth_info.username:
        raise missing_field(f"{_HTTP}.auth_info.username")
    _statuses(check)
    kinds = UptimeCheckConfig.HttpCheck.ContentType
    if check.request_method == UptimeCheckConfig.HttpCheck.RequestMethod.POST:
        if not check.content_type:
            raise invalid_field(f"{_HTTP}.content_type", "must be set when request_method is POST.")
    elif check.body or check.content_type:
        raise invalid_field(f"{_HTTP}.body", "a GET request must carry neither body nor content type.")
    if check.content_type == kinds.USER_PROVIDED and not check.custom_content_type:
        raise missing_field(f"{_HTTP}.custom_content_type")
    if check.custom_content_type and check.content_type != kinds.USER_PROVIDED:
        raise invalid_field(f"{_HTTP}.custom_content_type", "needs content_type USER_PROVIDED.")
    _pings(check.ping_config, f"{_HTTP}.ping_config")


def _statuses(check: Raw) -> None:
    for index, one in enumerate(check.accepted_response_status_codes):
        if one.WhichOneof("status_code") == "status_value" and not 100 <= one.status_value <= 599:  # noqa: PLR2004  # HTTP
            path = f"{_HTTP}.accepted_response_status_codes[{index}].status_value"
            raise invalid_field(path, "must be an HTTP status.", one.status_value)
        if one.WhichOneof("status_code") is None:
            raise missing_field(f"{_HTTP}.accepted_response_status_codes[{index}].status_code")


def _port(port: int, path: str) -> None:
    if not 0 <= port <= 65535:  # noqa: PLR2004  # TCP
        raise invalid_field(path, "must be a TCP port.", port)


def _pings(config: Raw, path: str) -> None:
    if not 0 <= config.pings_count <= _MOST_PINGS:
        raise invalid_field(f"{path}.pings_count", "a maximum of 3 ICMP pings is supported.", config.pings_count)
