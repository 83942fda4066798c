"""The kept figures: `make figures` measures, keeps the JSON in docs/figures.json, and writes docs/figures.md from it.

__main__    the command
machine     what figures were taken on: processor, cores, flags, memory, system; commit
kept        the entries of docs/figures.json
page        entries → the page
"""
