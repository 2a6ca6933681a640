"""Copies a directory of Dapr resources so that a daprd of this machine can load it.

Owns the only two differences between a cluster and here: brokers are at HOST:PORT, and a secret's value is in the
file, since no Kubernetes resolves it. Everything else is copied as it is, so that daprd judges what is shipped.

    at_home.py SOURCE TARGET HOST:PORT CA_FILE
"""

import pathlib
import sys

import yaml

ADDRESSES = {"brokers", "redisHost"}


def at_home(resource, address, authority):
    """`resource` with addresses and secrets replaced."""
    for item in (resource.get("spec") or {}).get("metadata") or []:
        if item["name"] in ADDRESSES:
            item["value"] = address
        secret = item.pop("secretKeyRef", None)
        if secret:
            item["value"] = authority if item["name"] == "caCert" else f"a-{secret['key']}"
    return resource


def main(source, target, address, ca_file):
    authority = pathlib.Path(ca_file).read_text()
    for path in pathlib.Path(source).glob("*.yaml"):
        resources = [at_home(r, address, authority) for r in yaml.safe_load_all(path.read_text()) if r]
        (pathlib.Path(target) / path.name).write_text(yaml.safe_dump_all(resources))


if __name__ == "__main__":
    main(*sys.argv[1:])
