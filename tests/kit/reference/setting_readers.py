"""Which roles read which setting. `tests/unit/test_reference.py` compares it with what the roles' sources read."""

GATEWAY, STT, TTS, LLM, TOOL, WEBHOOK = "gateway", "stt", "tts", "llm", "tool", "webhook"
RECORDER, JANITOR, EVENTS, SERVE, COMMANDS = "recorder", "janitor", "events", "serve", "commands"
TELEPHONY = "telephony"
WEBRTC = "webrtc"
ALL = ("all",)
ROLES = (GATEWAY, STT, TTS, LLM, TOOL, WEBHOOK, RECORDER, JANITOR, EVENTS, TELEPHONY, WEBRTC)
WORKERS = (STT, TTS, LLM, TOOL, RECORDER, JANITOR, EVENTS)
POLICY = (GATEWAY, TOOL, WEBHOOK)
LIMITED = (GATEWAY, WEBHOOK, TELEPHONY)
SHIPMENTS = (TOOL, WEBHOOK)

READERS: dict[str, tuple[str, ...]] = {
    # stores
    "redis_url": (GATEWAY, STT, TTS, LLM, TOOL, RECORDER, JANITOR),
    "postgres_url": (GATEWAY, TOOL, WEBHOOK, RECORDER, JANITOR, EVENTS, COMMANDS),
    "store_rewrite_minutes": (JANITOR,),
    "store_memory_mb": (SERVE,),
    "data_dir": ALL,
    # gateway
    "host": (GATEWAY, TOOL, EVENTS),
    "port": (GATEWAY, TELEPHONY, WEBRTC),
    "gateway_internal_port": (GATEWAY,),
    "api_keys": (GATEWAY, WEBHOOK, TELEPHONY),
    "cors_origins": (GATEWAY,),
    "console": (GATEWAY,),
    "tls_cert": (GATEWAY, TELEPHONY, WEBRTC),
    "tls_key": (GATEWAY,),
    "log_level": ALL,
    "log_levels": ALL,
    "log_format": ALL,
    "max_calls": (GATEWAY, STT, TTS),
    "max_audio_requests": (GATEWAY,),
    "gateways": (GATEWAY,),
    "resume_s": (GATEWAY,),
    "idle_s": (GATEWAY,),
    "judge_interruptions": (GATEWAY,),
    # access
    "policy_dir": POLICY,
    "opa_url": POLICY,
    "opa_token": POLICY,
    **dict.fromkeys(
        (
            "limit_tenant_requests",
            "limit_tenant_tokens",
            "limit_tenant_sessions",
            "limit_key_requests",
            "limit_key_tokens",
            "limit_key_sessions",
            "limit_all_requests",
            "limit_all_tokens",
            "limit_unadmitted_requests",
            "limit_call_frames",
            "limit_call_events",
            "limit_call_speech",
            "limit_tenant_rate",
        ),
        (GATEWAY,),
    ),
    "limit_connections": LIMITED,
    "limit_connections_per_source": LIMITED,
    "limit_wrong_credentials": LIMITED,
    "trusted_proxy_header": LIMITED,
    # agents
    "kits": ALL,
    "agents_dir": (GATEWAY, TOOL, COMMANDS),
    "default_agent": (GATEWAY, TOOL, COMMANDS),
    "unknown_model": (GATEWAY,),
    "tool_secret": (TOOL,),
    "tool_private_networks": (TOOL,),
    # engines
    "stt_profile": (GATEWAY, STT, COMMANDS),
    "stt_device": (STT, COMMANDS),
    "stt_compute_type": (STT, COMMANDS),
    "tts_order": (GATEWAY, TTS, COMMANDS),
    "tts_voice": (TTS,),
    "tts_speed": (TTS,),
    "models_dir": (GATEWAY, STT, TTS, COMMANDS),
    **dict.fromkeys(
        ("llm_base_url", "llm_model", "llm", "llm_servers"),
        (GATEWAY, LLM),
    ),
    **dict.fromkeys(
        ("llm_api_key", "llm_extra", "llm_keys", "llm_servers_extra", "llm_context_tokens"),
        (LLM,),
    ),
    "stt_slots": (STT,),
    "tts_slots": (TTS,),
    "self_test": (SERVE,),
    "llm_slots": (LLM,),
    "tool_slots": (TOOL,),
    # records
    "record_days": (GATEWAY, WEBHOOK),
    "record_words": (GATEWAY, WEBHOOK),
    "history_days": (GATEWAY, JANITOR, COMMANDS),
    "audit_days": (GATEWAY, JANITOR, COMMANDS),
    "gate_audit_days": (JANITOR,),
    "history_words": (GATEWAY, RECORDER, COMMANDS),
    "history_keys": (GATEWAY, RECORDER, EVENTS, COMMANDS),
    # traces
    **dict.fromkeys(("traces_url", "traces_headers", "traces_ratio"), (GATEWAY,)),
    # events
    "events_retry_hours": (EVENTS,),
    "events_days": (JANITOR,),
    "events_private_networks": (EVENTS,),
    "events_kafka": (EVENTS,),
    # webhook server
    "internal_host": ALL,
    **dict.fromkeys(
        (
            "webhook_host",
            "webhook_port",
            "internal_port",
            "vapi_hmac_secret",
            "vapi_hmac_secret_is_base64",
            "vapi_hmac_header",
            "vapi_hmac_prefix",
            "vapi_hmac_encoding",
            "vapi_hmac_algorithm",
            "vapi_hmac_payload_format",
            "vapi_hmac_timestamp_header",
            "vapi_bearer_tokens",
            "retell_api_key",
            "vapi_secrets",
            "strict_422",
            "webhook_source_limit",
            "webhook_tenant",
            "assistant_id",
        ),
        (WEBHOOK,),
    ),
    # telephony
    **dict.fromkeys(
        (
            "telephony_host",
            "telephony_port",
            "telephony_url",
            "telephony_token",
            "telephony_gateways",
            "telephony_key",
            "telephony_agent",
            "telephony_greets",
            "telephony_greeting_is_whole",
            "telephony_transfer_to",
            "telephony_max_calls",
            "twilio_auth_token",
            "outgoing_prefixes",
            "outgoing_a_minute",
            "twilio_account_sid",
            "twilio_from",
            "twilio_api",
            "asterisk_ari",
            "asterisk_ari_user",
            "asterisk_ari_password",
            "asterisk_dial",
            "asterisk_answer",
        ),
        (TELEPHONY,),
    ),
    "telephony": (TELEPHONY, SERVE),
    # calls by WebRTC
    **dict.fromkeys(
        (
            "webrtc_gateways",
            "webrtc_public_address",
            "webrtc_ice_servers",
            "webrtc_turn_username",
            "webrtc_turn_password",
            "webrtc_relay_only",
            "webrtc_max_calls",
        ),
        (WEBRTC,),
    ),
    **dict.fromkeys(("webrtc_host", "webrtc_port", "webrtc_token"), (GATEWAY, WEBRTC)),
    "webrtc_urls": (GATEWAY,),
    "webrtc": (GATEWAY, WEBRTC, SERVE),
    # internal ports
    "worker_internal_port": WORKERS,
    "supervisor_internal_port": (SERVE,),
    "targets_dir": ALL,
    # the delivery kit
    "demo_data": (SERVE,),
    **dict.fromkeys(
        (
            "shipments",
            "sanity_base_url",
            "sanity_project_id",
            "sanity_dataset",
            "sanity_token",
            "sanity_api_version",
            "cache_ttl_s",
            "cache_size",
            "hand_over_to",
        ),
        SHIPMENTS,
    ),
    "sanity_webhook_secret": (WEBHOOK,),
    "vapi_tools": (WEBHOOK,),
}
