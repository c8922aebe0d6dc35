"""Scenarios: recorded calls with their answers, replayed against a server, and recorded from one.

``scenario`` loads the files, ``targets`` are the servers they run against, ``compare`` judges an answer, ``run`` goes
through the steps, ``report`` and ``junit`` tell, ``record`` writes such files from live calls.
"""
