from support.in_process import bare_environment, internal_failures, logging_as_before  # noqa: F401  # fixtures
