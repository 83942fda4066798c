"""Attacks on a running server, and what an unconcerned caller beside them notices. `benchmarks/attack.py` is the command.

target        where attackers aim; only this machine
attack        what an attack is, and the list of all
connection    a raw TCP connection of an attacker, from a loopback address of its choice
process       the attacker as a process of its own
server        the server under attack: real processes, two tenants, keys
neighbour     the caller of another tenant whose turns are measured, and callers who connect for the first time
memory        what the gateway and the store hold, sampled
trial         one attack: quiet, beside, quiet, beside; the verdict
table         the results for people
storm         strangers by the thousand beside twenty calls that speak

frames, events, connections, credentials, requests      attacks that take something away: run beside the neighbour
pages, accounts, hung                                   attacks that get something: checked without one
"""
