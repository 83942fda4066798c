"""What several test tiers share, one line per file.

Stores and servers
    store               a Redis Cluster of three real nodes, and direct access to any store
    opa_server          a server with OPA's Data API over real HTTP
    chat_server         a server with OpenAI's chat completions, streams and every usual failure
    language_call       a call whose language models are real HTTP servers
    conversations       random conversations as the jobs of language models have them
    odd_streams         answers of servers that stream otherwise than OpenAI's, with what they mean
    strict_templates    what chat templates and servers refuse
    rule_model          a language model server that answers by rules, for whole calls
    fault_proxy         an HTTP server that fails on demand, in front of a real one or alone
    slow_line           a slow line to a store, which breaks on demand
    sanity              Sanity without a network: scripted answers, and time that passes only in waits
    tcp_line            a line to a server that breaks on demand
    certificates        certificates for servers of tests, and clients that trust them
    balancer            a TCP balancer with health checks
    fake_realtime       a small Realtime server for tests of callers
    memory_broker       the broker port in one process
    memory_ledger       the ledger of side effects in one process

Gateways, roles and clusters
    gateway             a real gateway over a real broker, with instant workers
    tenant_gateway      a gateway over a database with tenants: keys and clients
    webhook             the running webhook role, and messages as the platform writes them
    scripted_roles      roles with scripted work, for tests of the supervisor
    cluster             gateways and workers as real processes on one machine
    processes           a server's processes and their memory
    waiting             waiting for another process

Callers
    client              a caller's side of the Realtime socket
    resuming_client     a client that resumes, and a gateway process that a test may kill
    raw_socket          a cheap WebSocket client, for hundreds of callers
    florist             the call that every stock client makes
    client_program      stock clients in Node, and in a Python environment of their own
    heard               what a stock client heard
    hum                 a voice without a word
    microphone          a stock client's microphone
    tick_caller         a caller whose clock is audio
    call_checks         what a caller received: duplicates, missing ends, missing items

Worlds of the properties P1 to P10
    property_search     how the properties are searched: bounded, on an empty store
    seen_sessions       P1: gateways that write sessions and read each other's
    synthesis_world     P3 and P5: segments spoken by workers that may die or hang
    transcription_world P4: callers and recognisers that may die
    draining            P6: a gateway that drains with callers in every state
    recording           P9: calls, recorders and PostgreSQL that come and go
    kill_run            kill -9 under live calls, and the summary of losses
    rolling_restart     a rolling restart of gateways under calls

Engine, speech and grounding
    scripted_llm        a language model with scripted answers
    scripted_vad        detection models with known results
    conversation        an engine under test, with its workers played by the test
    world               a random but valid world around the engine
    recorded            recorded interactions and rehearsed scenarios
    instant_engines     engines without latency, for benchmarks
    speech              a broker with one speech worker, and the real engines
    grounding_corpus    replies that a language model might write, and their calls
    grounding_generator random grounding lines, true and false
"""
