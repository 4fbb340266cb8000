from fastapi_cloudops.core.metrics import metrics_client

exceeded = metrics_client.counter("rate_limit_exceeded_total")
sessions = metrics_client.gauge("auth_active_sessions")


@metrics_client.counter("auth_token_refresh_total", labels={"status": "success"})
async def refresh_token() -> str:
    return "..."


def refuse(path: str, client_ip: str) -> None:
    exceeded.labels(endpoint=path, ip_address=client_ip).add()


refuse("/login", "203.0.113.9")
refuse("/login", "203.0.113.9")
sessions.labels(user_role="admin").set(3)
