"""Variables of each process of Ray's, and of those that speak to it; what the environment says counts more."""

RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # an actor that asks for no GPU still sees those of its host
    "RAY_memory_monitor_refresh_ms": "0",  # runs have limits of their own; Ray would end the actor, and all of them
    "RAY_worker_oom_score_adjustment": "0",  # else the kernel ends the actor and its fork server before any run
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
