"""The load suite (`make load`, docs/load.md): many calls at once, measured as their callers notice it.

    __main__         the command: speech, server, Locust, report
    plan             what a run is: server, keys, callers
    sample           one measured moment, and the lines between the processes
    speech           the callers' lines, synthesised once
    calls            one call of each kind, and its samples; knows nothing of Locust
    caller_process   a process with many calls: orders in, samples out
    caller_pool      those processes, for Locust's greenlets
    locustfile       Locust's users
    locust_child     Locust as a child process
    own_server       a server on this machine, with several tenants
    figures          samples → figures
    report           figures → table, picture, page

Locust decides who calls when, counts and reports. Other processes make the calls, with the project's own client and
asyncio. A client for gevent would be a second one to keep correct, would be paced together with Locust's own work,
and could not be tested in `.venv`. So `sample`, `plan`, `caller_pool` and `locustfile`, which run in `.venv-load`,
import only the standard library, gevent and Locust.
"""
