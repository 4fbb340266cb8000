from fastapi_cloudops.core.client_address import TrustedProxies, client_address

# What arrives when 198.51.100.9 has written 6.6.6.6 into the header itself.
DIRECT = {"client": ("169.254.1.1", 0), "headers": [(b"x-forwarded-for", b"6.6.6.6,198.51.100.9")]}
BALANCED = {"client": ("169.254.1.1", 0), "headers": [(b"x-forwarded-for", b"6.6.6.6,198.51.100.9,203.0.113.1")]}

for setting in ("", "cloud_run", "load_balancer"):
    trusted = TrustedProxies.parse(setting)
    print(f"{setting or '(nothing)':<14} {client_address(DIRECT, trusted):<13} {client_address(BALANCED, trusted)}")
