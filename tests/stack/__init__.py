"""The whole system under faults: broker, sidecars, worker and an independent client, each a process of its own.

Two commands use it: `tests/kafka-stack` (the embedded sidecar on Kafka) and `tests/real-stack` (a real daprd on Kafka
and Redis). What is claimed is the same in both: every reminder that was planned is seen, none is early, a repeat is the
same bytes. `ledger` judges, `scenarios` act, `stage` puts the processes together, and the rest each own one kind of
process. Nothing here imports or copies the worker's own code: what it expects is written down from the contract.
"""
