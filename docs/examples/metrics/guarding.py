from fastapi_cloudops.core.metrics import metrics_client

lockouts = metrics_client.counter("brute_force_lockouts_total")

for number in range(100):  # one address tries many accounts
    lockouts.labels(ip_address="203.0.113.9", email=f"user-{number}@example.com").add()
for number in range(100):  # and one account is tried from many addresses
    lockouts.labels(ip_address=f"198.51.100.{number}", email="root@example.com").add()
