"""Faults of the process and of what it stands on, played on the real binary: kills, disks, clocks, a sidecar that hangs.

`tests/faults` is the command. Each row of its table is a coroutine over a `Bench`: a worker on a store of its own, a
stand-in for the sidecar that takes reminders (`sidecar`), and one that delivers events until they are acknowledged, as
a broker does, and knows which were (`deliveries`). `book` judges. What is expected follows from the acknowledgements
alone: nothing asks the worker what it should have done. No verdict depends on how fast the machine is; times are told
and not judged.
"""
